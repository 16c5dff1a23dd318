//! What can go wrong with the engine, so that the caller can tell "the
//! engine says there is none" from "nobody can say".

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a call on the runtime failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum RuntimeError {
    /// The engine did not answer, or not in time, or not in its protocol:
    /// nothing is known about the state. Never read it as "absent".
    #[error("the container engine cannot be observed while {during}: {cause}")]
    Unknown { during: String, cause: String },
    /// The engine answered: there is no such object.
    #[error("{during}: no such object: {message}")]
    Absent { during: String, message: String },
    /// The engine answered: the name, the subnet or the object is taken or
    /// in use.
    #[error("{during}: conflict: {message}")]
    Conflict { during: String, message: String },
    /// The engine answered with any other error.
    #[error("{during}: the engine refused ({status}): {message}")]
    Refused { during: String, status: u16, message: String },
    /// The workload's description cannot be run here.
    #[error("{instance}: {problem}")]
    Spec { instance: String, problem: String },
    /// An image tarball is malformed, too large or not for this machine.
    #[error("image archive: {0}")]
    Archive(String),
    /// What is to be in a volume at first is not at the engine.
    #[error("{instance}: what is to be in the volume {volume} is not at the engine: {blob}")]
    DataMissing {
        instance: String,
        volume: String,
        /// BLAKE3 root, 64 hex digits.
        blob: String,
    },
    /// A volume could not be given its first content.
    #[error("{instance}: the data of the volume {volume}: {problem}")]
    Data { instance: String, volume: String, problem: String },
    /// A registry image could not be had.
    #[error("image {image}: {problem}")]
    Pull { image: String, problem: String },
    /// The configuration or the machine is not fit.
    #[error("{0}")]
    Setup(String),
}

impl RuntimeError {
    /// True where the engine's state is not known (unreachable, too slow).
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// True where the engine positively said that the object is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    /// Sorts an engine client's error into the kinds above.
    pub(crate) fn from_engine(during: impl Into<String>, error: bollard::errors::Error) -> Self {
        use bollard::errors::Error;
        let during = during.into();
        match error {
            Error::DockerResponseServerError { status_code, message } => match status_code {
                404 => Self::Absent { during, message },
                409 => Self::Conflict { during, message },
                status => Self::Refused { during, status, message },
            },
            Error::DockerStreamError { error } => {
                Self::Refused { during, status: 200, message: error }
            }
            other => Self::Unknown { during, cause: chain(&other) },
        }
    }
}

/// An error with its causes, for hyper's own words ("client error (Connect)")
/// do not say that the socket is missing.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

/// Turns "absent" into `None`, for calls where that is an answer.
pub(crate) fn absent_is_none<T>(
    result: Result<T, RuntimeError>,
) -> Result<Option<T>, RuntimeError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Shorthand for a spec error of one instance.
pub(crate) fn spec_error(instance: impl fmt::Display, problem: impl Into<String>) -> RuntimeError {
    RuntimeError::Spec { instance: instance.to_string(), problem: problem.into() }
}
