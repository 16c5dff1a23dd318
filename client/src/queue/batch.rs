//! Callers' messages put together into one transaction, and told apart again.

use prost::Message;
use stoa_proto::Any;
use tokio::sync::oneshot;

use super::Done;
use crate::{tx::TxResult, Error, Result};

/// One caller's messages: they go together or not at all.
#[derive(Debug)]
pub(super) struct Unit {
    pub label: String,
    pub messages: Vec<Any>,
    pub reply: oneshot::Sender<Result<Done>>,
}

impl Unit {
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(Message::encoded_len).sum()
    }

    /// Tells the caller; one that went away is no matter.
    pub fn finish(self, result: Result<Done>) {
        let _ = self.reply.send(result);
    }
}

/// What one transaction carries.
#[derive(Debug, Default)]
pub(super) struct Batch(pub Vec<Unit>);

impl Batch {
    pub fn messages(&self) -> Vec<Any> {
        self.0.iter().flat_map(|u| u.messages.iter().cloned()).collect()
    }

    pub fn labels(&self) -> Vec<String> {
        self.0.iter().map(|u| u.label.clone()).collect()
    }

    pub fn fits(&self, unit: &Unit, max_messages: usize, max_bytes: usize) -> bool {
        let messages: usize = self.0.iter().map(|u| u.messages.len()).sum();
        let bytes: usize = self.0.iter().map(Unit::bytes).sum();
        self.0.is_empty()
            || (messages + unit.messages.len() <= max_messages && bytes + unit.bytes() <= max_bytes)
    }

    /// Whose message stands at an index.
    pub fn unit_of(&self, message: usize) -> Option<usize> {
        let mut end = 0;
        self.0.iter().position(|unit| {
            end += unit.messages.len();
            message < end
        })
    }

    /// Two halves; the second is empty only where there is but one unit.
    pub fn halves(mut self) -> (Self, Self) {
        let second = self.0.split_off(self.0.len().div_ceil(2));
        (self, Self(second))
    }

    /// Gives each caller its part of a result that took effect.
    pub fn finish(self, result: &TxResult) {
        let mut start = 0;
        let told_apart = result.events.iter().any(|e| e.message_index().is_some());
        for unit in self.0 {
            let range = start..start + unit.messages.len();
            start = range.end;
            let responses = result.responses.get(range.clone()).unwrap_or_default().to_vec();
            let mine = |i: Option<usize>| !told_apart || i.is_some_and(|i| range.contains(&i));
            let events =
                result.events.iter().filter(|e| mine(e.message_index())).cloned().collect();
            unit.finish(Ok(Done {
                hash: result.hash.clone(),
                height: result.height,
                events,
                responses,
            }));
        }
    }

    /// Gives every caller the same error.
    pub fn fail(self, error: impl Fn() -> Error) {
        for unit in self.0 {
            unit.finish(Err(error()));
        }
    }
}
