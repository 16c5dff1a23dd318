//! Signatures are verified once, whichever of CheckTx, the proposal or the block comes first.

use std::{
    collections::HashSet,
    num::NonZeroUsize,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Mutex, PoisonError,
    },
    thread,
};

use sha2::{Digest, Sha256};
use stoa_chain::modules::auth::{PublicKey, SignatureCheck, Signatures};

/// Signatures remembered in each of two generations; 32 bytes each, with the set's overhead
/// about 6 MiB together.
const GENERATION: usize = 50_000;

/// Under this many signatures, threads cost more than they save.
const WORTH_THREADS: usize = 8;

/// Most threads for one block.
const MAX_THREADS: usize = 16;

type Fingerprint = [u8; 32];

/// The set of signatures that were found right, by what was signed and by whom.
#[derive(Default)]
pub struct SignatureCache {
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashSet<Fingerprint>,
    old: HashSet<Fingerprint>,
}

impl Generations {
    fn contains(&self, fingerprint: &Fingerprint) -> bool {
        self.young.contains(fingerprint) || self.old.contains(fingerprint)
    }

    fn insert(&mut self, fingerprint: Fingerprint) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(fingerprint);
    }
}

impl SignatureCache {
    /// Verifies many at once, on several threads where that pays.
    pub fn verify_all(&self, checks: &[SignatureCheck]) {
        let todo: Vec<(&SignatureCheck, Fingerprint)> = {
            let known = self.lock();
            let all = checks.iter().map(|check| (check, fingerprint(check)));
            all.filter(|(_, fingerprint)| !known.contains(fingerprint)).collect()
        };
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MAX_THREADS);
        if todo.len() < WORTH_THREADS || threads == 1 {
            for (check, fingerprint) in &todo {
                self.settle(check, *fingerprint);
            }
            return;
        }
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some((check, fingerprint)) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.settle(check, *fingerprint);
            }
        };
        thread::scope(|scope| {
            (1..threads).for_each(|_| drop(scope.spawn(work)));
            work();
        });
    }

    /// Verifies and remembers what is right. What is wrong is not remembered: whoever sends it
    /// could fill the memory.
    fn settle(&self, check: &SignatureCheck, fingerprint: Fingerprint) -> bool {
        let right = check.verify();
        if right {
            self.lock().insert(fingerprint);
        }
        right
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signatures for SignatureCache {
    fn verify(&self, check: &SignatureCheck) -> bool {
        let fingerprint = fingerprint(check);
        if self.lock().contains(&fingerprint) {
            return true;
        }
        self.settle(check, fingerprint)
    }
}

/// A hash of key, signature and signed bytes, each with its length, so that no two checks share
/// one.
fn fingerprint(check: &SignatureCheck) -> Fingerprint {
    let (kind, key): (u8, &[u8]) = match &check.public_key {
        PublicKey::Secp256k1(key) => (1, key),
        PublicKey::Ed25519(key) => (2, key),
    };
    let mut hasher = Sha256::new();
    hasher.update([kind]);
    for part in [key, &check.signature, &check.sign_bytes] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    fn check(seed: u8, text: &str) -> SignatureCheck {
        let key = SigningKey::from_bytes(&[seed; 32]);
        SignatureCheck {
            public_key: PublicKey::Ed25519(key.verifying_key().to_bytes()),
            sign_bytes: text.as_bytes().into(),
            signature: key.sign(text.as_bytes()).to_vec(),
        }
    }

    #[test]
    fn right_ones_are_remembered_and_wrong_ones_are_not() {
        let cache = SignatureCache::default();
        let right = check(1, "text");
        let mut wrong = right.clone();
        wrong.sign_bytes = b"other".as_slice().into();
        for _ in 0..2 {
            assert!(cache.verify(&right));
            assert!(!cache.verify(&wrong));
        }
        assert_eq!(cache.lock().young.len(), 1);
    }

    #[test]
    fn many_are_verified_on_threads_with_the_same_verdicts() {
        let cache = SignatureCache::default();
        let mut checks: Vec<_> = (0..40).map(|n| check(n, &n.to_string())).collect();
        checks[7].signature[3] ^= 1;
        cache.verify_all(&checks);
        assert_eq!(cache.lock().young.len(), 39);
        for (index, check) in checks.iter().enumerate() {
            assert_eq!(cache.verify(check), index != 7);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut generations = Generations::default();
        for n in 0..3 * GENERATION as u64 {
            generations.insert(Sha256::digest(n.to_le_bytes()).into());
        }
        assert_eq!(generations.young.len() + generations.old.len(), 2 * GENERATION);
        let newest = Sha256::digest((3 * GENERATION as u64 - 1).to_le_bytes()).into();
        assert!(generations.contains(&newest));
    }
}
