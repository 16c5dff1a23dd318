use super::*;
use crate::shape::PIECE;
use crate::verify::{HashCheck, PARENT};

fn content(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(b"stored").finalize_xof().fill(&mut bytes);
    bytes
}

fn shape(bytes: &[u8]) -> Shape {
    Shape::new(bytes.len() as u64).unwrap()
}

#[test]
fn a_death_loses_only_what_was_not_synced() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = content(10 * PIECE as usize + 5);
    let source = Holding::of_bytes(bytes.clone()).unwrap();
    let store = Store::open(dir.path());
    let part = store.holding(source.root(), shape(&bytes)).unwrap();
    for piece in [3, 10, 0] {
        assert!(part.accept(piece, &source.encode(piece).unwrap()).unwrap());
        assert!(!part.accept(piece, &source.encode(piece).unwrap()).unwrap());
    }
    assert!(!part.sync().unwrap());
    assert!(part.accept(7, &source.encode(7).unwrap()).unwrap());
    assert_eq!(part.bytes(), 3 * PIECE + 5);
    // As a kill does it: nothing is dropped.
    std::mem::forget(part);

    let again = Store::open(dir.path());
    let part = again.find(source.root()).unwrap().unwrap();
    assert_eq!(part.have().iter().collect::<Vec<_>>(), [0, 3, 10]);
    assert_eq!(part.encode(3).unwrap(), source.encode(3).unwrap());
    assert!(part.encode(7).is_err());
    for piece in 0..11 {
        part.accept(piece, &source.encode(piece).unwrap()).unwrap();
        part.sync_if_due().unwrap();
    }
    assert!(part.is_finished());
    drop(part);

    let third = Store::open(dir.path()).find(source.root()).unwrap().unwrap();
    assert!(third.is_finished() && third.is_first_hand());
    let path = dir.path().join(format!("{}.blob", source.root().to_hex()));
    assert_eq!(std::fs::read(path).unwrap(), bytes);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_blob_without_its_hashes_gets_them_and_a_damaged_one_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = content(3 * PIECE as usize);
    let source = Holding::of_bytes(bytes.clone()).unwrap();
    let path = dir.path().join(format!("{}.blob", source.root().to_hex()));
    std::fs::write(&path, &bytes).unwrap();
    let found = Store::open(dir.path()).find(source.root()).unwrap().unwrap();
    assert_eq!(found.encode(2).unwrap(), source.encode(2).unwrap());
    drop(found);

    let store = Store::open(dir.path());
    store.remove(source.root()).unwrap();
    assert!(store.find(source.root()).unwrap().is_none());
    std::fs::write(&path, &bytes[1..]).unwrap();
    assert!(store.find(source.root()).unwrap().is_none());
}

#[test]
fn content_that_comes_behind_its_hashes_is_servable_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = content(4 * PIECE as usize + 1);
    let source = Holding::of_bytes(bytes.clone()).unwrap();
    let mut tree = vec![0; source.shape().outboard_bytes() as usize];
    verify_tree(&bytes, &mut tree);
    let store = Store::open(dir.path());
    let part = store.holding(source.root(), shape(&bytes)).unwrap();
    assert!(!part.has_tree());
    assert!(part.accept_plain(0, &bytes[..PIECE as usize]).is_err());
    let mut wrong = tree.clone();
    wrong[100] ^= 1;
    let mut check = HashCheck::new(source.root(), shape(&bytes));
    assert!(part.accept_hashes(&mut check, &wrong).is_err());
    // In parts, as they come.
    let mut check = HashCheck::new(source.root(), shape(&bytes));
    for part_of in tree.chunks(3 * PARENT) {
        assert!(!part.has_tree());
        part.accept_hashes(&mut check, part_of).unwrap();
    }
    assert!(part.has_tree() && check.is_whole());
    assert!(part.accept_hashes(&mut check, &tree[..PARENT]).is_err(), "there are no more");
    assert!(part.accept_plain(0, &bytes[1..=PIECE as usize]).is_err());
    assert!(part.accept_plain(0, &bytes[..PIECE as usize]).unwrap());
    assert_eq!(part.encode(0).unwrap(), source.encode(0).unwrap());
    part.sync().unwrap();
    std::mem::forget(part);
    let again = Store::open(dir.path()).holding(source.root(), shape(&bytes)).unwrap();
    assert!(again.has_tree() && again.has(0) && !again.has(1));
}

fn verify_tree(bytes: &[u8], tree: &mut [u8]) {
    crate::verify::outboard(shape(bytes), bytes, tree).unwrap();
}

#[test]
fn a_blob_of_another_size_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = content(2 * PIECE as usize);
    let source = Holding::of_bytes(bytes.clone()).unwrap();
    let store = Store::open(dir.path());
    let wrong = store.holding(source.root(), Shape::new(5 * PIECE).unwrap()).unwrap();
    assert!(wrong.accept(4, &source.encode(1).unwrap()).is_err());
    drop(wrong);
    let part = store.holding(source.root(), shape(&bytes)).unwrap();
    assert!(part.accept(1, &source.encode(1).unwrap()).unwrap());
    store.remove(source.root()).unwrap();
    assert!(part.accept(0, &source.encode(0).unwrap()).unwrap());
    assert!(!part.sync_if_due().unwrap());
    drop(part);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_death_between_the_last_mark_and_the_last_name_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = content(3 * PIECE as usize);
    let source = Holding::of_bytes(bytes.clone()).unwrap();
    let store = Store::open(dir.path());
    let part = store.holding(source.root(), shape(&bytes)).unwrap();
    for piece in 0..3 {
        part.accept(piece, &source.encode(piece).unwrap()).unwrap();
    }
    assert!(part.sync().unwrap());
    drop(part);
    let path = |kind: &str| dir.path().join(format!("{}.{kind}", source.root().to_hex()));
    std::fs::rename(path("blob"), path("part")).unwrap();
    let size = (bytes.len() as u64).to_be_bytes();
    std::fs::write(path("have"), [&b"have"[..], &size, &[0, 0b111]].concat()).unwrap();

    let again = Store::open(dir.path()).find(source.root()).unwrap().unwrap();
    assert_eq!((again.bytes(), again.is_finished()), (bytes.len() as u64, false));
    assert!(again.due() >= 100 && again.sync_if_due().unwrap());
    assert!(std::fs::read(path("blob")).unwrap() == bytes);
}
