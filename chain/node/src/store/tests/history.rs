//! Kept heights show their state, pruned ones are refused, and what is pruned is really gone.

use rand::{rngs::StdRng, SeedableRng};

use super::{apply, commit, options, random_changes, Model};
use stoa_chain::store::{is_index, Changes};

use crate::store::{layout, Database, StoreError};

fn state_at(db: &Database, height: u64) -> Model {
    db.latest().state_at(height).unwrap().collect::<Result<_, _>>().unwrap()
}

fn records(db: &Database, family: &str) -> usize {
    db.latest().scan(family, &[], None).count()
}

#[test]
fn kept_heights_show_their_state_and_older_ones_are_refused() {
    let mut rng = StdRng::seed_from_u64(3);
    let dir = tempfile::tempdir().unwrap();
    let mut db = Database::open(dir.path(), options(6)).unwrap();
    let mut model = Model::new();
    let mut past = vec![Model::new()];
    for height in 1..=60_u64 {
        let changes = random_changes(&mut rng, 20);
        apply(&mut model, &changes);
        commit(&db, &changes);
        let mut state = model.clone();
        state.retain(|key, _| !is_index(key));
        past.push(state);
        if height % 7 == 0 {
            drop(db);
            db = Database::open(dir.path(), options(6)).unwrap();
        }
        let oldest = height.saturating_sub(5).max(1);
        assert_eq!(db.latest().oldest(), oldest);
        for kept in oldest..=height {
            assert_eq!(state_at(&db, kept), past[usize::try_from(kept).unwrap()]);
            assert_eq!(db.latest().time_at(kept).unwrap(), 0);
        }
        if oldest > 1 {
            let error = db.prove(oldest - 1, &[1, 1]).unwrap_err();
            assert!(matches!(error, StoreError::Pruned { .. }));
            let told = format!("keeps heights {oldest} to {height}");
            assert!(error.to_string().contains(&told), "{error}");
        }
    }
}

#[test]
fn pruning_leaves_the_records_of_one_height() {
    let mut rng = StdRng::seed_from_u64(4);
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), options(1)).unwrap();
    let mut model = Model::new();
    for _ in 0..50 {
        let changes = random_changes(&mut rng, 20);
        apply(&mut model, &changes);
        commit(&db, &changes);
    }
    // The pieces are bounded: some blocks without changes let pruning catch up.
    for _ in 0..200 {
        commit(&db, &Changes::new());
    }
    let state = model.keys().filter(|key| !is_index(key)).count();
    assert_eq!(records(&db, layout::VALUES), state, "one value a key and no deletion");
    let fresh_dir = tempfile::tempdir().unwrap();
    let fresh = Database::open(fresh_dir.path(), options(1)).unwrap();
    commit(&fresh, &model.iter().map(|(k, v)| (k.clone(), Some(v.clone()))).collect());
    // What the last block made stale, its predecessor's root, the next one prunes.
    let slack = 1;
    let (kept, least) = (records(&db, layout::NODES), records(&fresh, layout::NODES));
    assert!(
        kept <= least + slack,
        "{kept} nodes, {least} are needed; {} stale",
        records(&db, layout::STALE)
    );
    assert!(records(&db, layout::STALE) <= 3);
    assert!(records(&db, layout::META) <= 2 + 2, "format, head and two times");
}

#[test]
fn a_wider_setting_does_not_promise_what_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let write = |db: &Database, n: u8| commit(db, &Changes::from([(vec![1], Some(vec![n]))]));
    let db = Database::open(dir.path(), options(2)).unwrap();
    (1..=10).for_each(|n| write(&db, n));
    assert_eq!(db.latest().oldest(), 9);
    drop(db);
    let db = Database::open(dir.path(), options(0)).unwrap();
    (11..=15).for_each(|n| write(&db, n));
    assert_eq!(db.latest().oldest(), 9);
    assert_eq!(state_at(&db, 9), Model::from([(vec![1], vec![9])]));
    assert!(matches!(db.prove(8, &[1]), Err(StoreError::Pruned { .. })));
}
