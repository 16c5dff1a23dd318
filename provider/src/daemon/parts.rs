//! What runs until the daemon ends.

use std::future::Future;

use futures::future::BoxFuture;
use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Parts that are put together, and begin together.
#[derive(Default)]
pub(super) struct Parts(Vec<BoxFuture<'static, anyhow::Result<()>>>);

impl Parts {
    /// One whose end ends the daemon.
    pub(super) fn add(&mut self, part: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.0.push(part.boxed());
    }

    /// One that goes on for ever, or has nothing to say.
    pub(super) fn quiet(&mut self, part: impl Future<Output = ()> + Send + 'static) {
        self.0.push(part.map(Ok).boxed());
    }

    /// Begins them all; they are dropped when the daemon ends.
    pub(super) fn begin(
        self,
        tasks: &mut JoinSet<anyhow::Result<()>>,
        ends: &watch::Receiver<bool>,
    ) {
        for part in self.0 {
            let mut ends = ends.clone();
            tasks.spawn(async move {
                tokio::select! {
                    result = part => result,
                    _ = ends.wait_for(|end| *end) => Ok(()),
                }
            });
        }
    }
}
