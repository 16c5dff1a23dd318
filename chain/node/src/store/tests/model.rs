//! Random blocks against a `BTreeMap`, with reopening between them.

use rand::{rngs::StdRng, Rng, SeedableRng};

use super::{apply, commit, options, random_changes, root_of, Model};
use stoa_chain::store::{Changes, Store};

use crate::store::{Database, StoreError};

fn check_reads(db: &Database, model: &Model, rng: &mut StdRng) {
    let view = db.latest();
    let all: Vec<_> = view.range(&[], &[0xff]).collect();
    assert!(all.iter().map(|(k, v)| (k, v)).eq(model.iter()));
    let (from, to) = (vec![1, rng.gen_range(0..60)], vec![0x81, rng.gen_range(0..60)]);
    let part: Vec<_> = view.range(&from, &to).collect();
    assert!(part.iter().map(|(k, v)| (k, v)).eq(model.range(from.clone()..to.clone())));
    assert_eq!(view.range(&to, &from).count(), 0);
    for _ in 0..10 {
        let key = vec![1, rng.gen_range(0..80)];
        assert_eq!(view.get(&key), model.get(&key).cloned());
    }
}

#[test]
fn random_blocks_match_the_model_over_restarts() {
    for seed in 0..4 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (left, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let steady = Database::open(left.path(), options(0)).unwrap();
        let mut restarted = Database::open(right.path(), options(5)).unwrap();
        let mut model = Model::new();
        for height in 1..=80 {
            let changes = random_changes(&mut rng, 30);
            apply(&mut model, &changes);
            commit(&steady, &changes);
            commit(&restarted, &changes);
            if rng.gen_bool(0.2) {
                drop(restarted);
                restarted = Database::open(right.path(), options(rng.gen_range(2..9))).unwrap();
            }
            assert_eq!((restarted.height(), restarted.app_hash()), (height, steady.app_hash()));
            check_reads(&restarted, &model, &mut rng);
        }
        assert_eq!(steady.app_hash(), root_of(&model), "the root depends on the state alone");
    }
}

#[test]
fn emptied_state_has_the_empty_root_and_fills_again() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), options(0)).unwrap();
    let empty = db.app_hash();
    for round in 0..3_u8 {
        let keys: Vec<Vec<u8>> = (0..round + 1).map(|n| vec![1, n]).collect();
        commit(&db, &keys.iter().map(|key| (key.clone(), Some(vec![round]))).collect());
        assert_ne!(db.app_hash(), empty);
        commit(&db, &keys.iter().map(|key| (key.clone(), None)).collect());
        assert_eq!(db.app_hash(), empty);
        commit(&db, &Changes::new());
        assert_eq!(db.app_hash(), empty);
    }
    assert_eq!(db.height(), 9);
}

#[test]
fn a_block_without_changes_commits_its_height() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), options(0)).unwrap();
    commit(&db, &Changes::from([(vec![1], Some(vec![1])), (vec![0x90], Some(vec![]))]));
    let hash = db.app_hash();
    // Neither a write of the same value nor an index is a change of state.
    commit(&db, &Changes::from([(vec![1], Some(vec![1])), (vec![0x90], None)]));
    commit(&db, &Changes::new());
    assert_eq!((db.height(), db.app_hash()), (3, hash));
    drop(db);
    let db = Database::open(dir.path(), options(0)).unwrap();
    assert_eq!((db.height(), db.app_hash()), (3, hash));
    assert_eq!(db.latest().get(&[0x90]), None);
}

#[test]
fn a_snapshot_does_not_see_later_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), options(2)).unwrap();
    commit(&db, &Changes::from([(vec![1], Some(vec![1]))]));
    let old = db.latest();
    for n in 2..9 {
        commit(&db, &Changes::from([(vec![1], Some(vec![n]))]));
    }
    assert_eq!((old.height(), old.get(&[1])), (1, Some(vec![1])));
    assert!(old.prove(1, &[1]).is_ok(), "a snapshot keeps what was pruned after it");
    assert_eq!(db.latest().get(&[1]), Some(vec![8]));
    drop(db);
    assert_eq!(old.get(&[1]), Some(vec![1]), "a snapshot outlives its handle");
}

#[test]
fn blocks_come_in_order_and_from_any_first_height() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), options(0)).unwrap();
    assert!(matches!(db.stage(0, 0, &Changes::new()), Err(StoreError::OutOfOrder { .. })));
    db.commit(db.stage(1000, 0, &Changes::new()).unwrap()).unwrap();
    assert!(matches!(db.stage(1000, 0, &Changes::new()), Err(StoreError::OutOfOrder { .. })));
    assert!(matches!(db.stage(1002, 0, &Changes::new()), Err(StoreError::OutOfOrder { .. })));
    let late = db.stage(1001, 0, &Changes::new()).unwrap();
    commit(&db, &Changes::from([(vec![1], Some(vec![1]))]));
    assert!(matches!(db.commit(late), Err(StoreError::OutOfOrder { last: 1001, got: 1001 })));
    assert!(db.prove(1001, &[1]).is_ok());
}

#[test]
fn staging_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), options(0)).unwrap();
    let changes = Changes::from([(vec![1], Some(vec![1]))]);
    let first = db.stage(1, 0, &changes).unwrap().app_hash();
    assert_eq!(db.height(), 0);
    assert_eq!(db.stage(1, 0, &changes).unwrap().app_hash(), first);
    assert_eq!(db.latest().get(&[1]), None);
}

#[test]
fn what_has_no_proof_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), options(0)).unwrap();
    let stage = |key: Vec<u8>, value: Option<Vec<u8>>| {
        db.stage(1, 0, &Changes::from([(key, value)])).map(|staged| staged.height())
    };
    assert!(matches!(stage(vec![], None), Err(StoreError::KeyLength { len: 0, .. })));
    assert!(matches!(stage(vec![1; 70_000], None), Err(StoreError::KeyLength { .. })));
    assert!(matches!(stage(vec![1], Some(vec![])), Err(StoreError::EmptyValue { .. })));
    assert!(stage(vec![0x80], Some(vec![])).is_ok(), "an index may be a bare key");
}

#[test]
fn a_second_writer_is_refused_and_a_reader_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), options(0)).unwrap();
    commit(&db, &Changes::from([(vec![1], Some(vec![1]))]));
    assert!(matches!(Database::open(dir.path(), options(0)), Err(StoreError::Engine(_))));
    let reader = Database::open_read_only(dir.path(), options(0)).unwrap();
    assert_eq!(reader.app_hash(), db.app_hash());
    let staged = reader.stage(2, 0, &Changes::new()).unwrap();
    assert!(matches!(reader.commit(staged), Err(StoreError::ReadOnly)));
    assert!(Database::open_read_only(&dir.path().join("none"), options(0)).is_err());
}
