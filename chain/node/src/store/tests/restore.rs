//! A state laid in whole, and a block taken back.

use std::sync::Arc;

use rand::{rngs::StdRng, seq::SliceRandom, SeedableRng};
use stoa_chain::store::{is_index, Changes};

use super::{apply, commit, options, random_changes, root_of, Model};
use crate::store::{layout::FAMILIES, Database, Entry, StoreError};

/// All that a database holds, family by family.
fn dump(db: &Database) -> Vec<Vec<Entry>> {
    let latest = db.latest();
    let all = |family| latest.scan(family, &[], None).map(Result::unwrap).collect();
    FAMILIES.into_iter().map(all).collect()
}

fn indexes(model: &Model) -> Changes {
    let indexes = model.iter().filter(|(key, _)| is_index(key));
    indexes.map(|(key, value)| (key.clone(), Some(value.clone()))).collect()
}

fn records(model: &Model) -> Vec<Entry> {
    let records = model.iter().filter(|(key, _)| !is_index(key));
    records.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn open(dir: &tempfile::TempDir, retain: u64) -> Arc<Database> {
    Arc::new(Database::open(dir.path(), options(retain)).unwrap())
}

#[test]
fn a_restored_state_has_the_original_root_and_goes_on_like_it() {
    for (seed, height, pieces) in [(1, 1, 3), (2, 2, 5), (3, 40, 1), (4, 40, 7), (5, 40, 60)] {
        let mut rng = StdRng::seed_from_u64(seed);
        let (original_dir, restored_dir) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (original, restored) = (open(&original_dir, 3), open(&restored_dir, 3));
        let mut model = Model::new();
        for _ in 0..height {
            let changes = random_changes(&mut rng, 60);
            apply(&mut model, &changes);
            commit(&original, &changes);
        }
        let mut restore = restored.restore(height).unwrap();
        let mut entries = records(&model);
        entries.shuffle(&mut rng);
        for piece in entries.chunks(entries.len().div_ceil(pieces)) {
            restore.add(piece.to_vec()).unwrap();
        }
        let (root, view) = restore.complete().unwrap();
        assert_eq!(root, original.app_hash());
        assert_eq!(restored.height(), 0, "nothing counts before the end");
        drop(view);
        restore.finish(9, &indexes(&model)).unwrap();
        assert_eq!((restored.height(), restored.app_hash()), (height, root));
        assert_eq!((restored.latest().time(), restored.latest().oldest()), (9, height));
        let flat = |db: &Database| dump(db).swap_remove(0);
        assert_eq!(flat(&restored), flat(&original));
        for _ in 0..10 {
            let changes = random_changes(&mut rng, 60);
            commit(&original, &changes);
            commit(&restored, &changes);
            assert_eq!(restored.app_hash(), original.app_hash());
        }
        drop(restored);
        assert_eq!(open(&restored_dir, 3).app_hash(), original.app_hash());
        // All nodes and values of the restored height were reachable, so all are pruned.
        original.prune(1).unwrap();
        let restored = open(&restored_dir, 3);
        restored.prune(1).unwrap();
        let counts =
            |db: &Database| dump(db).iter().map(Vec::len).collect::<Vec<_>>()[..4].to_vec();
        assert_eq!(counts(&restored), counts(&original));
    }
}

#[test]
fn an_unfinished_restore_leaves_nothing_and_another_can_begin() {
    let dir = tempfile::tempdir().unwrap();
    let changes: Changes = (0..50u8).map(|n| (vec![1, n], Some(vec![n, 1]))).collect();
    let mut model = Model::new();
    apply(&mut model, &changes);
    let db = open(&dir, 0);
    let mut restore = db.restore(8).unwrap();
    restore.add(records(&model)).unwrap();
    let (root, _) = restore.complete().unwrap();
    drop((restore, db));
    let db = open(&dir, 0);
    assert_eq!(db.height(), 0);
    let fresh = tempfile::tempdir().unwrap();
    let mark = |dumped: &mut Vec<Vec<Entry>>| dumped[4].retain(|(key, _)| key != b"restoring");
    let (mut left, mut empty) = (dump(&db), dump(&open(&fresh, 0)));
    mark(&mut left);
    mark(&mut empty);
    assert_eq!(left, empty);

    for _ in 0..2 {
        // A restored state without blocks of its own may be restored anew.
        let mut restore = db.restore(8).unwrap();
        restore.add(records(&model)).unwrap();
        assert_eq!(restore.complete().unwrap().0, root);
        restore.finish(1, &Changes::new()).unwrap();
        assert_eq!(db.height(), 8);
    }
    commit(&db, &Changes::new());
    assert!(matches!(db.restore(20), Err(StoreError::OutOfOrder { last: 9, got: 20 })));
    assert_eq!(db.height(), 9);
}

#[test]
fn a_record_that_cannot_be_state_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir, 0);
    let mut restore = db.restore(1).unwrap();
    for bad in [(vec![0x80, 1], vec![1]), (vec![], vec![1]), (vec![1], vec![])] {
        assert!(restore.add(vec![bad]).is_err());
    }
}

#[test]
fn a_block_taken_back_leaves_the_database_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir, 0);
    let mut rng = StdRng::seed_from_u64(7);
    let mut model = Model::new();
    for _ in 0..25 {
        let changes = random_changes(&mut rng, 40);
        let (before, hash) = (dump(&db), db.app_hash());
        commit(&db, &changes);
        if db.height() > 1 {
            let after = (dump(&db), db.app_hash());
            db.roll_back(&model).unwrap();
            assert_eq!((dump(&db), db.app_hash()), (before, hash));
            commit(&db, &changes);
            assert_eq!((dump(&db), db.app_hash()), after);
        }
        apply(&mut model, &changes);
    }
    assert_eq!(db.app_hash(), root_of(&model));
}

#[test]
fn only_a_kept_height_can_be_gone_back_to() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir, 1);
    for n in 0..5 {
        commit(&db, &Changes::from([(vec![1], Some(vec![n + 1]))]));
    }
    let before = (dump(&db), db.app_hash());
    let error = db.roll_back(&Model::new()).unwrap_err();
    assert!(error.to_string().contains("height 4 is pruned"), "{error}");
    assert_eq!((dump(&db), db.app_hash()), before);
}

#[test]
fn an_operators_prune_forgets_all_but_the_last_heights() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir, 0);
    let mut rng = StdRng::seed_from_u64(3);
    (0..60).for_each(|_| commit(&db, &random_changes(&mut rng, 30)));
    assert!(db.prune(5).unwrap() > 100);
    assert_eq!(db.latest().oldest(), 56);
    assert!(db.latest().state_at(55).is_err());
    assert!(db.latest().state_at(56).is_ok());
    assert_eq!(db.prune(5).unwrap(), 0);
    assert_eq!(db.prune(50).unwrap(), 0, "what is gone does not come back");
    assert_eq!(db.latest().oldest(), 56);
    let hash = db.app_hash();
    drop(db);
    assert_eq!(open(&dir, 0).app_hash(), hash);
}
