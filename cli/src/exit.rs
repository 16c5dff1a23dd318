//! How a command ends.
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done |
//! | 1 | an error of this side: a file, a key, an answer that makes no sense |
//! | 2 | wrong usage |
//! | 3 | the chain or a provider refused |
//! | 4 | what was asked for is not there |
//! | 5 | not in time, or no match |
//! | 6 | nobody answered |
//!
//! `stoa shell` ends with the command's own code, and with 125 where it fails
//! itself.

use std::{fmt, process::ExitCode};

use serde_json::json;
use stoa_client::{Error, Refusal};

use crate::args::Output;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    Error = 1,
    Usage = 2,
    Refused = 3,
    NotFound = 4,
    Unmatched = 5,
    Unreachable = 6,
}

/// Why a command failed, in words for people and a code for programs.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    pub message: String,
    /// The chain's codespace and code, where it refused.
    pub refusal: Option<Box<Refusal>>,
    /// Everything was said already.
    pub silent: bool,
    /// What the program ends with in place of the code: a remote command's
    /// own, or one that is told from those.
    pub ending: Option<u8>,
}

impl Failure {
    /// An error of this side.
    pub fn new(message: impl Into<String>) -> Self {
        Self::with(Code::Error, message)
    }

    /// With a code of its own.
    pub fn with(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), refusal: None, silent: false, ending: None }
    }

    /// For where the reason stands on stderr already.
    pub fn silent(code: Code) -> Self {
        Self { silent: true, ..Self::with(code, "") }
    }

    /// The same, ending the program with another code.
    pub fn ending_with(self, code: u8) -> Self {
        Self { ending: Some(code), ..self }
    }

    /// The code that the program ends with.
    pub fn exit_code(&self) -> u8 {
        self.ending.unwrap_or(self.code as u8)
    }

    /// Wrong usage that clap cannot see.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::with(Code::Usage, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Refused(_) => Code::Refused,
            Error::NotFound(_) => Code::NotFound,
            Error::Timeout(_) => Code::Unmatched,
            Error::Unreachable { .. } => Code::Unreachable,
            Error::Key(stoa_client::keys::KeyError::NotFound { .. }) => Code::NotFound,
            _ => Code::Error,
        };
        let message = error.to_string();
        let refusal = match error {
            Error::Refused(refusal) => Some(refusal),
            _ => None,
        };
        Self { code, message, refusal, silent: false, ending: None }
    }
}

impl From<stoa_client::keys::KeyError> for Failure {
    fn from(error: stoa_client::keys::KeyError) -> Self {
        Error::from(error).into()
    }
}

/// Says why on stderr; with `-o json` as one JSON object there.
pub fn report(failure: &Failure, output: Output) -> ExitCode {
    if !failure.silent {
        match output {
            Output::Text => eprintln!("error: {}", failure.message),
            Output::Json => eprintln!("{}", as_json(failure)),
        }
    }
    ExitCode::from(failure.exit_code())
}

fn as_json(failure: &Failure) -> serde_json::Value {
    let mut object = json!({ "error": failure.message, "exit_code": failure.exit_code() });
    if let (Some(refusal), Some(map)) = (&failure.refusal, object.as_object_mut()) {
        map.insert("codespace".into(), json!(refusal.codespace));
        map.insert("code".into(), json!(refusal.code));
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_its_code() {
        let refusal = Refusal {
            codespace: "market".into(),
            code: 7,
            message: "too high".into(),
            hash: None,
            height: None,
        };
        let cases: Vec<(Error, Code)> = vec![
            (Error::Invalid("x".into()), Code::Error),
            (refusal.into(), Code::Refused),
            (Error::NotFound("x".into()), Code::NotFound),
            (Error::Timeout("x".into()), Code::Unmatched),
            (Error::Unreachable { what: "x".into(), cause: "y".into() }, Code::Unreachable),
        ];
        for (error, code) in cases {
            assert_eq!(Failure::from(error).code, code);
        }
    }

    #[test]
    fn a_refusal_keeps_codespace_and_code_for_programs() {
        let refusal = Refusal {
            codespace: "market".into(),
            code: 7,
            message: "too high".into(),
            hash: None,
            height: None,
        };
        let json = as_json(&Error::from(refusal).into());
        assert_eq!((json["codespace"].as_str(), json["code"].as_u64()), (Some("market"), Some(7)));
        assert_eq!(json["exit_code"], 3);
    }
}
