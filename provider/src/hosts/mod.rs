//! The provider's other machines: who they are, and the authority that lets
//! them in. All of it lies in files, so that `stoa-provider hosts` works
//! whether the daemon runs or not; the daemon looks again when they change.

mod authority;
mod roster;

pub use authority::{host_certificate_name, Authority, Joined, Request, CONTROL};
pub use roster::{is_host_name, Declared, HostEntry, HostOrder, Roster, RosterFile, LOCAL};

use std::path::{Path, PathBuf};

/// The files' directory in the daemon's data directory.
pub fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("hosts")
}

/// What the daemon tells of its machines, for `stoa-provider hosts list`.
pub fn state_file(data_dir: &Path) -> PathBuf {
    directory(data_dir).join("state.json")
}
