//! What a tenant does inside its own running instances: commands, files,
//! connections. Plain types, so that an instance may as well be on another
//! machine.

mod attach;
mod dial;
mod exec;
mod files;
mod frames;
mod kill;

use bytes::Bytes;
use tokio::sync::mpsc;

pub use dial::DIAL_DEADLINE;
pub use files::MAX_PATH;

/// A command to be run in an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// Program and arguments; never empty.
    pub command: Vec<String>,
    /// With a terminal: one output for both streams.
    pub tty: bool,
    /// What `TERM` is where there is a terminal; empty: the image's own.
    pub term: String,
    /// The terminal's lines and columns; 0: the engine's own.
    pub size: (u16, u16),
    /// Whether something will be sent to its stdin.
    pub stdin: bool,
}

/// What goes to a running command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecInput {
    Stdin(Bytes),
    /// Nothing more comes to stdin.
    EndStdin,
    /// Lines and columns.
    Resize(u16, u16),
    /// To the command and all that it started.
    Signal(i32),
}

/// What comes from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecOutput {
    Stdout(Bytes),
    Stderr(Bytes),
    /// The last: its exit code.
    Exit(i64),
}

/// A command that runs. Dropping either end ends it: first by SIGHUP, then by
/// SIGKILL.
#[derive(Debug)]
pub struct ExecSession {
    pub input: mpsc::Sender<ExecInput>,
    pub output: mpsc::Receiver<Result<ExecOutput, super::RuntimeError>>,
}

/// A connection into an instance.
pub trait Connection: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Connection for T {}
