//! Proofs verify with ICS 23 against the app hash, and against no other.

use ics23::{commitment_proof::Proof, CommitmentProof, HostFunctionsManager};
use rand::{rngs::StdRng, SeedableRng};

use super::{apply, commit, options, random_changes, Model};
use stoa_chain::store::Changes;

use crate::store::{proof_spec, AppHash, Database, StoreError};

fn verifies(proof: &CommitmentProof, root: &AppHash, key: &[u8], value: Option<&[u8]>) -> bool {
    let (root, spec) = (root.to_vec(), proof_spec());
    match value {
        Some(value) => {
            ics23::verify_membership::<HostFunctionsManager>(proof, &spec, &root, key, value)
        }
        None => ics23::verify_non_membership::<HostFunctionsManager>(proof, &spec, &root, key),
    }
}

#[test]
fn every_key_proves_at_every_height() {
    let mut rng = StdRng::seed_from_u64(9);
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), options(0)).unwrap();
    let mut past: Vec<(AppHash, Model)> = Vec::new();
    let mut model = Model::new();
    for _ in 0..12 {
        let changes = random_changes(&mut rng, 25);
        apply(&mut model, &changes);
        commit(&db, &changes);
        past.push((db.app_hash(), model.clone()));
    }
    let mut absent = 0;
    for (height, (root, model)) in (1..).zip(&past) {
        for n in 0..60 {
            let key = [1, n];
            let expected = model.get(key.as_slice()).cloned();
            let (value, proof) = match db.prove(height, &key) {
                Err(StoreError::EmptyState { .. }) => {
                    assert!(!model.keys().any(|key| key[0] < 0x80));
                    continue;
                }
                other => other.unwrap(),
            };
            assert_eq!(value, expected);
            absent += usize::from(value.is_none());
            assert!(verifies(&proof, root, &key, value.as_deref()));
            assert!(!verifies(&proof, &[7; 32], &key, value.as_deref()));
            assert!(!verifies(&proof, root, &key, Some(b"forged")));
            assert_eq!(db.latest().value_at(height, &key).unwrap(), expected);
        }
    }
    assert!(absent > 100, "absence was proven too: {absent}");
}

#[test]
fn proofs_say_what_they_prove() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), options(0)).unwrap();
    commit(&db, &Changes::from([(b"a".to_vec(), Some(b"1".to_vec()))]));
    let (_, present) = db.prove(1, b"a").unwrap();
    assert!(matches!(present.proof, Some(Proof::Exist(_))));
    let (_, absent) = db.prove(1, b"b").unwrap();
    assert!(matches!(absent.proof, Some(Proof::Nonexist(_))));
    assert!(!verifies(&absent, &db.app_hash(), b"a", None), "what exists is not absent");
}

#[test]
fn heights_and_keys_without_proof_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), options(0)).unwrap();
    assert!(matches!(db.prove(0, b"a"), Err(StoreError::Future { latest: 0, .. })));
    commit(&db, &Changes::new());
    assert!(matches!(db.prove(1, b"a"), Err(StoreError::EmptyState { height: 1 })));
    assert!(matches!(db.prove(2, b"a"), Err(StoreError::Future { height: 2, latest: 1 })));
    assert!(matches!(db.prove(1, &[0x80]), Err(StoreError::NotProvable { .. })));
    assert!(matches!(db.prove(1, &[]), Err(StoreError::KeyLength { .. })));
}
