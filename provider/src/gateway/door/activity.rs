//! Whether a connection is used, and whether it is asked to make room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// One connection's use.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    evicted: Notify,
}

#[derive(Debug)]
struct State {
    /// Requests under way.
    active: usize,
    /// Whether there was one.
    any: bool,
    /// When the last began or ended.
    at: Instant,
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub(in super::super) struct Busy(Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let state = Mutex::new(State { active: 0, any: false, at: Instant::now() });
        Arc::new(Self { state, evicted: Notify::new() })
    }

    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        let mut state = self.state();
        state.active += 1;
        state.any = true;
        state.at = Instant::now();
        drop(state);
        Busy(Arc::clone(self))
    }

    /// Since when nothing is under way; none where something is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.active == 0).then_some(state.at)
    }

    /// Asks it to make room for another.
    pub(super) fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Resolves when it makes room, or was idle too long: `first` until the
    /// first request, `later` after it.
    pub(super) async fn over(&self, first: Duration, later: Duration) {
        let idle = async {
            loop {
                let (patience, since) = {
                    let state = self.state();
                    let patience = if state.any { later } else { first };
                    (patience, (state.active == 0).then_some(state.at))
                };
                let now = Instant::now();
                match since.map(|since| since + patience) {
                    Some(due) if due <= now => return,
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => tokio::time::sleep(patience).await,
                }
            }
        };
        tokio::select! {
            () = idle => {}
            () = self.evicted.notified() => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.active = state.active.saturating_sub(1);
        state.at = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_connection_is_over_when_idle_and_never_while_used() {
        let activity = Activity::new();
        activity.over(SHORT, LONG).await;
        let busy = activity.begin();
        let used = tokio::time::timeout(SHORT * 10, activity.over(SHORT, SHORT)).await;
        assert!(used.is_err(), "a long stream is use");
        drop(busy);
        activity.over(LONG, SHORT).await;
    }

    #[tokio::test]
    async fn an_idle_connection_makes_room_at_once() {
        let activity = Activity::new();
        assert!(activity.idle_since().is_some());
        activity.evict();
        activity.over(LONG, LONG).await;
        let _busy = activity.begin();
        assert!(activity.idle_since().is_none());
    }
}
