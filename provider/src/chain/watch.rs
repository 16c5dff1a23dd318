//! Looks at the chain at each new block, and every few seconds besides.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::reads::ChainReads;
use super::view::{Specs, View};

/// The newest view; none until the first was read.
pub type Views = watch::Receiver<Option<Arc<View>>>;

/// After so long without any view a line is logged again.
const REMIND: Duration = Duration::from_secs(30);

/// The loop that looks.
pub struct Watcher {
    reads: Arc<dyn ChainReads>,
    /// Announced heights.
    hints: watch::Receiver<u64>,
    poll: Duration,
    stall: Duration,
    out: watch::Sender<Option<Arc<View>>>,
    specs: Specs,
    height: u64,
    grew_at: Instant,
    /// When other endpoints were tried last for a height that stood still.
    turned_at: Instant,
    warned_at: Option<Instant>,
}

impl Watcher {
    pub fn new(
        reads: Arc<dyn ChainReads>,
        hints: watch::Receiver<u64>,
        poll: Duration,
        stall: Duration,
    ) -> (Self, Views) {
        let (out, views) = watch::channel(None);
        let watcher = Self {
            reads,
            hints,
            poll,
            stall,
            out,
            specs: Specs::new(),
            height: 0,
            grew_at: Instant::now(),
            turned_at: Instant::now(),
            warned_at: None,
        };
        (watcher, views)
    }

    /// Looks until nobody wants views any more.
    pub async fn run(mut self) {
        while !self.out.is_closed() {
            self.look().await;
            self.watch_height();
            tokio::select! {
                announced = self.hints.changed() => {
                    if announced.is_err() {
                        tokio::time::sleep(self.poll).await;
                    }
                }
                () = tokio::time::sleep(self.poll) => {}
                () = self.out.closed() => {}
            }
        }
    }

    /// One look; whatever cannot be read leaves the last view in place.
    async fn look(&mut self) {
        let tip = match self.reads.tip().await {
            Ok(tip) => tip,
            Err(error) => return self.warn(&format!("the chain cannot be observed: {error}")),
        };
        if tip.catching_up {
            self.reads.use_next_endpoints();
            return self.warn(&format!("the node is catching up (at height {})", tip.height));
        }
        if tip.height <= self.height {
            return;
        }
        match View::read(self.reads.as_ref(), tip, &mut self.specs).await {
            Ok(view) => {
                self.height = tip.height;
                self.grew_at = Instant::now();
                if self.warned_at.take().is_some() {
                    tracing::info!(height = tip.height, "the chain is observed again");
                }
                self.out.send_replace(Some(Arc::new(view)));
            }
            Err(error) => self.warn(&format!("the chain cannot be observed: {error}")),
        }
    }

    /// An endpoint that answers and stands still is no better than a dead one.
    fn watch_height(&mut self) {
        let still = self.grew_at.elapsed();
        if still > self.stall && self.turned_at.elapsed() > self.stall {
            self.turned_at = Instant::now();
            self.reads.use_next_endpoints();
            let text = format!(
                "height {} for {} s: the chain or its node stands still; asking the next",
                self.height,
                still.as_secs()
            );
            self.warn(&text);
        }
    }

    fn warn(&mut self, text: &str) {
        if self.warned_at.is_none_or(|at| at.elapsed() > REMIND) {
            self.warned_at = Some(Instant::now());
            tracing::warn!("{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use stoa_client::ids::TextId;
    use stoa_client::proto::market::v1::LeaseState;

    use super::*;
    use crate::chain::fake::FakeChain;

    /// Longer than any of these tests takes.
    const STALL: Duration = Duration::from_secs(600);

    fn watcher(chain: &Arc<FakeChain>) -> (Watcher, Views) {
        let hints = watch::channel(0).1;
        Watcher::new(chain.clone(), hints, Duration::from_secs(1), STALL)
    }

    fn height(views: &Views) -> Option<u64> {
        views.borrow().as_ref().map(|view| view.height)
    }

    #[tokio::test]
    async fn only_newer_views_of_a_node_that_is_up_to_date_count() {
        let chain = Arc::new(FakeChain::default());
        let (mut watcher, views) = watcher(&chain);
        chain.set_unreachable(true);
        watcher.look().await;
        assert_eq!(height(&views), None);
        chain.set_unreachable(false);
        for (at, catching_up, seen) in
            [(5, false, 5), (4, false, 5), (9, true, 5), (6, false, 6), (6, false, 6)]
        {
            chain.change(|state| (state.height, state.catching_up) = (at, catching_up));
            watcher.look().await;
            assert_eq!(height(&views), Some(seen), "after {at}");
        }
        chain.set_unreachable(true);
        watcher.look().await;
        assert_eq!(height(&views), Some(6), "the last view stays");
    }

    #[tokio::test]
    async fn a_lease_that_vanishes_from_one_nodes_list_stays_until_all_say_it_is_over() {
        let chain = Arc::new(FakeChain::default());
        let order = crate::tests_support::order(1);
        let mut lease = crate::tests_support::lease_view(&order);
        lease.lease.set_state(LeaseState::Active);
        chain.change(|state| {
            state.height = 1;
            state.orders.insert(order.id.as_ref().unwrap().text(), order.clone());
            state.leases.insert(lease.name.clone(), lease.lease.clone());
            let id = stoa_client::ids::deployment_of(&lease.id).text();
            state.deployments.insert(id, lease.deployment.clone());
        });
        let (mut watcher, views) = watcher(&chain);
        watcher.look().await;
        assert_eq!(views.borrow().as_ref().unwrap().leases.len(), 1);
        let close = |height: u64, disagree: bool| {
            chain.change(|state| {
                (state.height, state.disagree) = (height, disagree);
                state.leases.get_mut(&lease.name).unwrap().set_state(LeaseState::Closed);
            });
        };
        close(2, true);
        watcher.look().await;
        assert_eq!(height(&views), Some(1), "a disagreement is no view");
        close(3, false);
        watcher.look().await;
        assert_eq!(height(&views), Some(3));
        assert!(views.borrow().as_ref().unwrap().leases.is_empty());
    }

    #[tokio::test]
    async fn a_height_that_stands_still_turns_to_the_next_endpoints() {
        let chain = Arc::new(FakeChain::default());
        chain.change(|state| state.height = 5);
        let (mut watcher, _views) = watcher(&chain);
        watcher.look().await;
        watcher.watch_height();
        assert_eq!(chain.turns(), 0);
        let long_ago = Instant::now().checked_sub(STALL * 2).unwrap();
        (watcher.grew_at, watcher.turned_at) = (long_ago, long_ago);
        watcher.look().await;
        watcher.watch_height();
        watcher.watch_height();
        assert_eq!(chain.turns(), 1, "not at every look");
    }
}
