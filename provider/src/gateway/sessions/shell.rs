//! Commands in instances.

use stoa_client::proto::gateway::v1::{EventKind, ShellStart, TerminalSize};
use tonic::Status;

use super::super::logs::engine_error;
use super::super::Context;
use crate::runtime::{ExecRequest, ExecSession, InstanceKey};

/// Bytes of one message for stdin.
pub(in super::super) const MAX_STDIN: usize = 64 << 10;
/// Words of a command, and bytes of them all.
const MAX_WORDS: usize = 256;
const MAX_COMMAND: usize = 64 << 10;
/// Lines and columns of a terminal.
const MAX_SIZE: u32 = 1000;
/// An image's best shell: most have one of the two.
const SHELL: [&str; 3] = ["/bin/sh", "-c", "exec \"$(command -v bash || echo sh)\""];

/// Begins a command in an instance.
pub(in super::super) async fn begin(
    context: &Context,
    key: &InstanceKey,
    start: &ShellStart,
) -> Result<ExecSession, Status> {
    let bytes: usize = start.command.iter().map(String::len).sum();
    if start.command.len() > MAX_WORDS || bytes > MAX_COMMAND {
        return Err(Status::invalid_argument(format!(
            "a command has at most {MAX_WORDS} words and {MAX_COMMAND} bytes"
        )));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-+._".contains(c);
    if start.term.len() > 64 || !start.term.chars().all(plain) {
        return Err(Status::invalid_argument("term is a terminal's name, such as xterm-256color"));
    }
    if start.command.iter().any(|word| word.contains('\0')) {
        return Err(Status::invalid_argument("a command may hold no NUL character"));
    }
    let command = match start.command.as_slice() {
        [] => SHELL.map(String::from).to_vec(),
        words => words.to_vec(),
    };
    let what = match start.command.first() {
        None => "a shell".to_string(),
        // Arguments may hold secrets.
        Some(program) => format!("the command {program}"),
    };
    context.board.events().note_instance(key, EventKind::Tenant, &format!("{what} was begun"));
    let request = ExecRequest {
        command,
        tty: start.tty,
        term: start.term.clone(),
        size: start.size.as_ref().map_or((0, 0), size),
        stdin: start.stdin,
    };
    context.backend.exec(key, request).await.map_err(engine_error)
}

/// Lines and columns within bounds.
pub(in super::super) fn size(size: &TerminalSize) -> (u16, u16) {
    let bounded = |count: u32| u16::try_from(count.min(MAX_SIZE)).unwrap_or(u16::MAX);
    (bounded(size.rows), bounded(size.columns))
}
