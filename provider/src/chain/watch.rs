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
        if still > self.stall {
            let text = format!(
                "height {} for {} s: does the chain stand still?",
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
