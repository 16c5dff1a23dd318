//! What a tenant does inside its running instances.

mod copy;
mod forward;
mod instance;
mod restart;
mod shell;
mod tar_check;

pub(super) use copy::{copy_in, copy_out, MAX_COPY_PIECE};
pub(super) use forward::forward;
pub(super) use instance::find;
pub(super) use restart::restart;
pub(super) use shell::{begin, size, MAX_STDIN};

use std::time::Duration;

/// How long the first message of a stream may take.
pub(super) const FIRST_MESSAGE: Duration = Duration::from_secs(10);
