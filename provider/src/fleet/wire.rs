//! What passes between the daemon and an agent, both ways: documents, and
//! errors that keep their kind, for "nobody knows" must never become "there
//! is none".

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stoa_client::proto::agent::v1::{Document, Instance};
use tonic::{Code, Status};

use crate::runtime::{Check, InstanceKey, Observation, ObservedInstance, RuntimeError, Verdict};

/// Both sides must have the same. To be raised with every change to what is
/// in the documents that the other side could not read.
pub const PROTOCOL: u32 = 4;
/// The largest message: an observation of a full machine.
pub const MAX_MESSAGE: usize = 64 << 20;
/// An image's tarball goes in pieces of this size.
pub const PIECE_BYTES: usize = 1 << 20;

/// A value as a document.
pub fn document(value: &impl Serialize) -> Result<Document, Status> {
    let json = serde_json::to_vec(value).map_err(|e| Status::internal(e.to_string()))?;
    Ok(Document { json })
}

/// And back.
pub fn read<T: DeserializeOwned>(document: &Document) -> Result<T, RuntimeError> {
    serde_json::from_slice(&document.json).map_err(|error| RuntimeError::Unknown {
        during: "reading what the other side sent".into(),
        cause: format!("{error}; are both sides of one version?"),
    })
}

/// A runtime's error as a gRPC status: its kind is in the details.
pub fn status_of(error: &RuntimeError) -> Status {
    let code = match error {
        RuntimeError::Unknown { .. } => Code::Unavailable,
        RuntimeError::Absent { .. } => Code::NotFound,
        _ => Code::FailedPrecondition,
    };
    let details = serde_json::to_vec(error).unwrap_or_default();
    let words: String = error.to_string().chars().take(1024).collect();
    Status::with_details(code, words, details.into())
}

/// A status as a runtime's error. Whatever does not carry one came from the
/// way in between: nothing is known then.
pub fn error_of(status: &Status, host: &str) -> RuntimeError {
    if let Ok(error) = serde_json::from_slice(status.details()) {
        return error;
    }
    let mut cause = status.message().to_string();
    let mut next = std::error::Error::source(status);
    while let Some(error) = next {
        let words = error.to_string();
        if !cause.contains(&words) {
            cause = format!("{cause}: {words}");
        }
        next = error.source();
    }
    RuntimeError::Unknown { during: format!("asking the machine {host}"), cause }
}

pub fn instance(key: &InstanceKey) -> Instance {
    Instance { lease: key.lease.clone(), service: key.service.clone(), index: key.index }
}

pub fn key(instance: Instance) -> InstanceKey {
    InstanceKey { lease: instance.lease, service: instance.service, index: instance.index }
}

/// An observation; JSON has no maps by key of several parts.
#[derive(Serialize, Deserialize)]
pub struct Seen {
    instances: Vec<(InstanceKey, ObservedInstance)>,
    leases_with_volumes: Vec<String>,
    unreadable: Vec<String>,
}

impl From<Observation> for Seen {
    fn from(seen: Observation) -> Self {
        Self {
            instances: seen.instances.into_iter().collect(),
            leases_with_volumes: seen.leases_with_volumes.into_iter().collect(),
            unreadable: seen.unreadable,
        }
    }
}

impl From<Seen> for Observation {
    fn from(seen: Seen) -> Self {
        Self {
            instances: seen.instances.into_iter().collect(),
            leases_with_volumes: seen.leases_with_volumes.into_iter().collect(),
            unreadable: seen.unreadable,
        }
    }
}

/// A check of another machine.
#[derive(Serialize, Deserialize)]
pub struct RemoteCheck {
    pub name: String,
    pub verdict: Verdict,
    pub words: String,
}

impl RemoteCheck {
    pub fn new(check: Check) -> Self {
        Self { name: check.name.to_string(), verdict: check.verdict, words: check.words }
    }

    /// Told here as one of that machine's.
    pub fn of_host(self, host: &str) -> Check {
        let words = format!("{host}: {}: {}", self.name, self.words);
        Check { name: "machine", verdict: self.verdict, words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_kind_over_the_wire_and_silence_is_unknown() {
        let absent = RuntimeError::Absent { during: "looking".into(), message: "none".into() };
        assert_eq!(error_of(&status_of(&absent), "n2"), absent);
        let unknown = RuntimeError::Unknown { during: "x".into(), cause: "y".into() };
        assert_eq!(error_of(&status_of(&unknown), "n2"), unknown);
        for status in [Status::unavailable("gone"), Status::not_found("no such service")] {
            let error = error_of(&status, "n2");
            assert!(error.is_unknown(), "{error}");
        }
    }
}
