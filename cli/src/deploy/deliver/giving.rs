//! Giving once: one provider is sent all of a deployment's images, and the
//! others have them from there, piece by piece as they arrive. The tenant need
//! not reach them.

use std::{
    collections::BTreeMap,
    sync::{Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError},
};

use tokio::sync::{watch, Mutex, MutexGuard};

/// Who has everything, whose turn it is to be sent images, and how much of
/// them is out.
pub struct Giving {
    turn: Mutex<()>,
    holder: watch::Sender<Option<String>>,
    /// Bytes of each image that the provider has which is sent them, by root.
    out: StdMutex<BTreeMap<String, u64>>,
}

/// What to do about images that a provider lacks.
pub enum Turn<'a> {
    /// Send them; nobody else sends meanwhile.
    Mine(#[allow(dead_code)] MutexGuard<'a, ()>),
    /// This provider has everything: it passes them on.
    Taken(String),
}

impl Default for Giving {
    fn default() -> Self {
        Self { turn: Mutex::default(), holder: watch::channel(None).0, out: StdMutex::default() }
    }
}

impl Giving {
    /// Waits until images may be sent, or need not be.
    pub async fn turn(&self) -> Turn<'_> {
        let mut holder = self.holder.subscribe();
        tokio::select! {
            biased;
            Ok(taken) = holder.wait_for(Option::is_some) => {
                Turn::Taken(taken.clone().unwrap_or_default())
            }
            turn = self.turn.lock() => {
                // What the one before was sent is gone with it.
                self.out().clear();
                Turn::Mine(turn)
            }
        }
    }

    /// The provider whose turn it is has so many bytes of an image.
    pub fn is_out(&self, image: &str, bytes: u64) {
        self.out().insert(image.to_owned(), bytes);
    }

    /// Bytes of these images that others can have from a provider by now.
    pub fn to_be_had<'a>(&self, images: impl IntoIterator<Item = &'a str>) -> u64 {
        if self.holder().is_some() {
            return u64::MAX;
        }
        let out = self.out();
        images.into_iter().filter_map(|image| out.get(image)).sum()
    }

    /// A provider has everything now.
    pub fn taken_by(&self, provider: &str) {
        self.holder.send_if_modified(|holder| {
            let first = holder.is_none();
            if first {
                *holder = Some(provider.to_owned());
            }
            first
        });
    }

    /// The provider that has everything, if one has.
    pub fn holder(&self) -> Option<String> {
        self.holder.borrow().clone()
    }

    fn out(&self) -> StdMutexGuard<'_, BTreeMap<String, u64>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_sends_at_a_time_and_nobody_once_all_is_taken() {
        let giving = Giving::default();
        let first = giving.turn().await;
        assert!(matches!(first, Turn::Mine(_)));
        let second = giving.turn();
        tokio::pin!(second);
        assert!(futures::poll!(second.as_mut()).is_pending());
        giving.taken_by("p1");
        giving.taken_by("p2");
        assert!(matches!(second.await, Turn::Taken(p) if p == "p1"), "while the first still sends");
        drop(first);
        assert!(matches!(giving.turn().await, Turn::Taken(_)));
        assert_eq!(giving.holder().as_deref(), Some("p1"));
    }

    #[tokio::test]
    async fn a_turn_that_breaks_off_goes_to_the_next() {
        let giving = Giving::default();
        drop(giving.turn().await);
        assert!(matches!(giving.turn().await, Turn::Mine(_)));
        assert!(giving.holder().is_none());
    }

    #[tokio::test]
    async fn what_can_be_had_is_what_the_one_has_that_is_sent_images() {
        let giving = Giving::default();
        let turn = giving.turn().await;
        giving.is_out("a", 5);
        giving.is_out("a", 7);
        giving.is_out("b", 2);
        assert_eq!(giving.to_be_had(["a", "c"]), 7);
        drop(turn);
        let _turn = giving.turn().await;
        assert_eq!(giving.to_be_had(["a", "b"]), 0, "it may be gone");
        giving.taken_by("p");
        assert_eq!(giving.to_be_had(["c"]), u64::MAX);
    }
}
