//! Where the server listens: `unix:///path` or `tcp://host:port`, as CometBFT writes it.

use std::{fmt, path::PathBuf, str::FromStr};

use super::AbciError;

/// Longest path that fits in a unix socket's address on Linux, in bytes.
const MAX_SOCKET_PATH: usize = 107;

/// An address that the server binds and CometBFT's `proxy_app` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A unix socket; its file is made, and replaced if nobody listens behind it.
    Unix(PathBuf),
    /// Host and port.
    Tcp(String),
}

impl FromStr for Address {
    type Err = AbciError;

    fn from_str(text: &str) -> Result<Self, AbciError> {
        let refuse = |reason: String| AbciError::Address { address: text.to_owned(), reason };
        if let Some(path) = text.strip_prefix("unix://") {
            return match path.len() {
                0 => Err(refuse("the path of the socket is missing".to_owned())),
                1..=MAX_SOCKET_PATH => Ok(Self::Unix(PathBuf::from(path))),
                len => Err(refuse(format!(
                    "a socket's path has at most {MAX_SOCKET_PATH} bytes, this one has {len}"
                ))),
            };
        }
        if let Some(rest) = text.strip_prefix("tcp://") {
            let port = rest.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            return match port {
                Some(Ok(_)) => Ok(Self::Tcp(rest.to_owned())),
                _ => Err(refuse("expected tcp://HOST:PORT".to_owned())),
            };
        }
        Err(refuse("expected unix:///PATH or tcp://HOST:PORT".to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(out, "unix://{}", path.display()),
            Self::Tcp(host) => write!(out, "tcp://{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        for text in ["unix:///run/stoad/abci.sock", "tcp://127.0.0.1:26658", "tcp://[::1]:0"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        let long = format!("unix:///{}", "a".repeat(200));
        for text in ["", "unix://", "tcp://host", "tcp://host:port", "http://a:1", &long] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
