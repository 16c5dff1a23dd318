use super::*;
use crate::config::Size;
use crate::tests_support::hashes_of;

const STEP: usize = PIECE as usize;

/// Like nothing else at any offset.
fn content(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(&size.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn blob(bytes: &[u8]) -> Blob {
    Blob { root: blake3::hash(bytes), bytes: bytes.len() as u64 }
}

fn store(dir: &Path) -> Arc<BlobStore> {
    Arc::new(BlobStore::open(dir, Storage::default()).unwrap())
}

fn files(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[test]
fn an_upload_goes_on_where_a_kill_left_it_holes_and_all() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = content(20 * STEP + 7);
    let blob = blob(&bytes);
    let first = store(dir.path());
    let mut before = first.begin(&blob, "d/1").unwrap().unwrap();
    before.hashes(0, &hashes_of(&bytes)).unwrap();
    assert_eq!(before.push(0, &bytes[..STEP]).unwrap(), PIECE);
    before.push(5 * PIECE, &bytes[5 * STEP..7 * STEP]).unwrap();
    before.push(20 * PIECE, &bytes[20 * STEP..]).unwrap();
    // As a kill does it: nothing is dropped.
    std::mem::forget(before);

    let second = store(dir.path());
    assert_eq!(second.state(&blob).unwrap().have, 3 * PIECE + 7);
    let (here, has_hashes) = second.pieces(&blob).unwrap();
    assert_eq!((here.iter().collect::<Vec<_>>(), has_hashes), (vec![0, 5, 6, 20], true));
    let mut rest = second.begin(&blob, "d/1").unwrap().unwrap();
    assert_eq!(rest.push(0, &bytes[..5 * STEP]).unwrap(), 4 * PIECE, "one was here");
    assert!(!rest.is_complete());
    rest.push(7 * PIECE, &bytes[7 * STEP..20 * STEP]).unwrap();
    assert!(rest.is_complete());
    assert!(rest.finish().unwrap().complete);
    assert!(second.begin(&blob, "d/1").unwrap().is_none());

    let third = store(dir.path());
    assert!(third.state(&blob).unwrap().complete);
    assert_eq!(std::fs::read(third.path_of(&blob).unwrap()).unwrap(), bytes);
    third.remove(&blob.root.to_hex()).unwrap();
    assert!(third.list().is_empty());
    assert_eq!(files(dir.path()), 0);
}

#[test]
fn a_wrong_piece_is_refused_by_its_offset_and_those_before_it_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let bytes = content(6 * STEP);
    let good = blob(&bytes);
    let mut upload = store.begin(&good, "d/1").unwrap().unwrap();
    assert!(matches!(upload.push(0, &bytes[..STEP]), Err(BlobError::NoHashes)));
    let mut hashes = hashes_of(&bytes);
    hashes[130] ^= 1;
    let wrong = upload.hashes(0, &hashes).unwrap_err();
    assert!(matches!(wrong, BlobError::WrongHashes { at: 128, .. }), "{wrong}");
    drop(upload);

    let mut upload = store.begin(&good, "d/1").unwrap().unwrap();
    let hashes = hashes_of(&bytes);
    upload.hashes(0, &hashes[..64]).unwrap();
    let skipped = upload.hashes(128, &hashes[128..]).unwrap_err();
    assert!(matches!(skipped, BlobError::HashesOffset { right: 64, .. }), "{skipped}");
    upload.hashes(64, &hashes[64..]).unwrap();
    let mut changed = bytes.clone();
    changed[3 * STEP + 9] ^= 1;
    let wrong = upload.push(PIECE, &changed[STEP..]).unwrap_err();
    assert!(matches!(wrong, BlobError::Wrong { offset, .. } if offset == 3 * PIECE), "{wrong}");
    drop(upload);
    assert_eq!(store.pieces(&good).unwrap().0.iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn what_is_no_row_of_whole_pieces_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let bytes = content(3 * STEP + 9);
    let mut upload = store.begin(&blob(&bytes), "d/1").unwrap().unwrap();
    upload.hashes(0, &hashes_of(&bytes)).unwrap();
    assert!(matches!(upload.push(0, b""), Err(BlobError::Chunk(0))));
    let long = vec![0; MAX_CHUNK + 1];
    assert!(matches!(upload.push(0, &long), Err(BlobError::Chunk(_))));
    assert!(matches!(upload.push(1, &bytes[1..STEP]), Err(BlobError::Pieces { offset: 1, .. })));
    assert!(matches!(upload.push(0, &bytes[..STEP + 1]), Err(BlobError::Pieces { .. })));
    assert!(matches!(upload.push(3 * PIECE, &bytes[..10]), Err(BlobError::TooLong { .. })));
    assert!(matches!(upload.push(u64::MAX, &bytes[..10]), Err(BlobError::TooLong { .. })));
    assert_eq!(upload.push(3 * PIECE, &bytes[3 * STEP..]).unwrap(), 9);
}

#[test]
fn an_upload_and_a_fetch_fill_one_blob_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let bytes = content(4 * STEP);
    let (blob, source) = (blob(&bytes), Holding::of_bytes(bytes.clone()).unwrap());
    let fetched = store.begin_fetch(&blob, "d/1").unwrap();
    let mut upload = store.begin(&blob, "d/1").unwrap().unwrap();
    assert!(Arc::ptr_eq(&fetched, upload.holding()));
    fetched.accept(2, &source.encode(2).unwrap()).unwrap();
    upload.hashes(0, &hashes_of(&bytes)).unwrap();
    assert_eq!(upload.push(PIECE, &bytes[STEP..]).unwrap(), 2 * PIECE);
    // While either goes on, it is not forgotten.
    store.remove(&blob.root.to_hex()).unwrap();
    fetched.accept(0, &source.encode(0).unwrap()).unwrap();
    assert!(upload.finish().unwrap().complete);
    assert!(store.fetching().is_empty());
    assert_eq!(std::fs::read(store.path_of(&blob).unwrap()).unwrap(), bytes);
    store.remove(&blob.root.to_hex()).unwrap();
    assert_eq!(files(dir.path()), 0);
}

#[test]
fn promised_bytes_count_against_the_quota_and_what_is_refused_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Storage { max_blob: Size(100), max_blob_bytes: Size(150), ..Storage::default() };
    let store = Arc::new(BlobStore::open(dir.path(), limits).unwrap());
    let of = |text: &[u8], bytes| Blob { root: blake3::hash(text), bytes };
    assert!(matches!(store.begin(&of(b"a", 101), "d/1"), Err(BlobError::Quota(_))));
    assert!(store.list().is_empty());
    assert_eq!(files(dir.path()), 0);
    let first = store.begin(&of(b"a", 100), "d/1").unwrap();
    assert!(matches!(store.begin(&of(b"b", 51), "d/1"), Err(BlobError::Quota(_))));
    assert!(matches!(store.begin_fetch(&of(b"b", 51), "d/1"), Err(BlobError::Quota(_))));
    drop(first);
    assert!(store.begin(&of(b"c", 50), "d/1").unwrap().is_some());
    assert_eq!(store.list().len(), 2);
}

#[test]
fn what_earlier_versions_brought_counts_for_a_deployment_as_long_as_it_is_here() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Storage { max_deployment_bytes: Size(50), ..Storage::default() };
    let store = Arc::new(BlobStore::open(dir.path(), limits).unwrap());
    let of = |text: &[u8], bytes| Blob { root: blake3::hash(text), bytes };
    let (old, shared) = (of(b"old", 60), of(b"shared", 30));
    // Of one a byte may have come, of the other none.
    drop(store.begin(&old, "d/1").unwrap());
    drop(store.begin_fetch(&shared, "d/1").unwrap());
    store.end_fetch(&shared.root);
    assert_eq!(store.held_for("d/1", &[]), 90);
    assert_eq!(store.held_for("d/1", &[shared]), 60);

    let next = of(b"next", 50);
    let refused = store.begin(&next, "d/1").unwrap_err();
    assert!(refused.to_string().contains("90 of at most 100"), "{refused}");
    assert!(matches!(store.begin_fetch(&next, "d/1"), Err(BlobError::Quota(_))));
    assert_eq!(store.list().len(), 2, "what is refused is not promised");
    // Again, and what both versions name, is no more.
    assert!(store.begin(&old, "d/1").unwrap().is_some());
    // Another deployment has a quota of its own.
    assert!(store.begin(&next, "d/2").unwrap().is_some());
    assert_eq!((store.held_for("d/1", &[]), store.held_for("d/2", &[])), (90, 50));

    store.remove(&old.root.to_hex()).unwrap();
    assert!(store.begin(&next, "d/1").unwrap().is_some());
}

#[test]
fn a_restart_forgets_no_deployments_bytes_once_its_manifests_are_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = content(2 * STEP);
    let blob = blob(&bytes);
    drop(store(dir.path()).begin(&blob, "d/1").unwrap());
    let again = store(dir.path());
    assert_eq!(again.held_for("d/1", &[]), 0);
    let root = blob.root.to_hex().to_string();
    again.set_named(&BTreeMap::from([("d/1".into(), BTreeSet::from([root]))]));
    assert_eq!(again.held_for("d/1", &[]), blob.bytes);
}
