use super::*;

const ROOT: &str = "aa";

fn of(transfers: &Transfers) -> Payload {
    transfers.payloads("t/1").remove(0)
}

#[test]
fn sources_add_up_and_the_largest_stands_first() {
    let transfers = Transfers::default();
    transfers.have("t/1", Kind::Blob, ROOT, 100, 40, false);
    transfers.received("t/1", ROOT, "p1", 10);
    transfers.received("t/1", ROOT, "p2", 20);
    transfers.received("t/1", ROOT, "p1", 15);
    let payload = of(&transfers);
    assert_eq!((payload.kind.as_str(), payload.size, payload.have), ("blob", 100, 40));
    assert!(!payload.complete);
    let told: Vec<_> = payload.sources.iter().map(|s| (s.peer.as_str(), s.bytes)).collect();
    assert_eq!(told, [("p1", 25), ("p2", 20)]);
}

#[test]
fn what_is_told_of_progress_is_bounded_however_many_pieces_come() {
    let transfers = Transfers::default();
    let changes = transfers.changes();
    for have in 0..=10_000 {
        transfers.have("t/1", Kind::Blob, ROOT, 10_000, have, have == 10_000);
    }
    assert!(*changes.borrow() <= STEPS + 2, "{}", *changes.borrow());
    assert!(of(&transfers).complete);
}

#[test]
fn peers_and_payloads_without_end_take_no_memory_without_end() {
    let transfers = Transfers::default();
    for number in 0..10_000 {
        transfers.received("t/1", ROOT, &format!("p{number}"), 1);
        transfers.received("t/1", &format!("{number:x}"), "p", 1);
    }
    assert!(transfers.payloads("t/1").len() <= MAX_PAYLOADS);
    assert!(of(&transfers).sources.len() <= 64);
}

#[test]
fn who_sent_what_outlives_the_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let transfers = Transfers::open(&path);
    transfers.have("t/1", Kind::Manifest, ROOT, 7, 7, true);
    transfers.received("t/1", ROOT, "tenant", 7);
    transfers.write(&path).unwrap();
    let again = Transfers::open(&path);
    assert_eq!(again.payloads("t/1"), transfers.payloads("t/1"));
    assert_eq!(read(&path).unwrap().deployments(), ["t/1"]);
    std::fs::write(&path, b"{").unwrap();
    assert!(Transfers::open(&path).payloads("t/1").is_empty());
}
