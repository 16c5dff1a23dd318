//! Giving once: as soon as one provider has all of a deployment, the others
//! have it from there, and the tenant need not reach them.

use tokio::sync::{watch, Mutex, MutexGuard};

/// Who has everything, and whose turn it is to be sent images.
pub struct Giving {
    turn: Mutex<()>,
    holder: watch::Sender<Option<String>>,
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
        Self { turn: Mutex::default(), holder: watch::channel(None).0 }
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
            turn = self.turn.lock() => Turn::Mine(turn),
        }
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
}
