//! What happened to each lease, in a ring that is bounded: who looks later
//! sees the near past.

mod engine;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use stoa_client::proto::gateway::v1::{EventKind, LeaseEvent};
use tokio::sync::watch;

pub use engine::listen;

/// Events kept of one lease.
pub const KEPT: usize = 200;
/// Leases remembered; the one that was silent longest goes first.
const MAX_LEASES: usize = 1024;
/// Bytes of a message.
const MAX_MESSAGE: usize = 300;

/// The near past of all leases.
#[derive(Debug)]
pub struct EventLog {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// The newest event's number.
    last: u64,
    rings: BTreeMap<String, VecDeque<LeaseEvent>>,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { state: Mutex::default(), changes: watch::channel(0).0 }
    }
}

impl EventLog {
    /// Something happened to a lease.
    pub fn note(&self, lease: &str, kind: EventKind, message: &str) {
        self.push(lease, kind, "", 0, message);
    }

    /// Something happened to one instance.
    pub fn note_instance(&self, key: &crate::runtime::InstanceKey, kind: EventKind, message: &str) {
        self.push(&key.lease, kind, &key.service, key.index, message);
    }

    fn push(&self, lease: &str, kind: EventKind, service: &str, instance: u32, message: &str) {
        let mut state = self.state();
        state.last += 1;
        let event = LeaseEvent {
            number: state.last,
            time: now_millis(),
            kind: kind.into(),
            service: service.into(),
            instance,
            message: shortened(message),
        };
        if !state.rings.contains_key(lease) && state.rings.len() >= MAX_LEASES {
            state.forget_one();
        }
        let ring = state.rings.entry(lease.into()).or_default();
        if ring.len() >= KEPT {
            ring.pop_front();
        }
        ring.push_back(event);
        let last = state.last;
        drop(state);
        self.changes.send_replace(last);
    }

    /// What is kept of a lease with a number higher than one.
    pub fn after(&self, lease: &str, number: u64) -> Vec<LeaseEvent> {
        let state = self.state();
        let ring = state.rings.get(lease).into_iter().flatten();
        ring.filter(|event| event.number > number).cloned().collect()
    }

    /// The number of the newest event of any lease.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_one(&mut self) {
        let newest = |ring: &VecDeque<LeaseEvent>| ring.back().map_or(0, |event| event.number);
        let silent = self.rings.iter().min_by_key(|(_, ring)| newest(ring));
        if let Some(lease) = silent.map(|(lease, _)| lease.clone()) {
            self.rings.remove(&lease);
        }
    }
}

fn shortened(message: &str) -> String {
    let mut end = message.len().min(MAX_MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].into()
}

fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_caller_sees_the_near_past_and_goes_on_from_a_number() {
        let log = EventLog::default();
        for number in 0..KEPT + 10 {
            log.note("a", EventKind::State, &format!("event {number}"));
        }
        log.note("b", EventKind::State, "of another lease");
        let kept = log.after("a", 0);
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[0].message, "event 10");
        let last = kept[KEPT - 1].number;
        assert!(log.after("a", last).is_empty());
        log.note("a", EventKind::State, "one more");
        assert_eq!(log.after("a", last)[0].message, "one more");
        assert!(log.after("nothing", 0).is_empty());
    }

    #[test]
    fn memory_is_bounded_by_leases_and_by_the_length_of_a_message() {
        let log = EventLog::default();
        log.note("0", EventKind::State, &"é".repeat(1000));
        assert!(log.after("0", 0)[0].message.len() <= MAX_MESSAGE);
        for lease in 1..=MAX_LEASES {
            log.note(&lease.to_string(), EventKind::State, "x");
        }
        assert!(log.after("0", 0).is_empty(), "the one that was silent longest is gone");
        assert_eq!(log.state().rings.len(), MAX_LEASES);
    }
}
