//! Signals to a command in a container, from the host: images need not have
//! a `kill`.

use std::path::PathBuf;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

/// Sends a signal to a command's process and its group. `container` is the
/// engine's full id: a process id that means another process by now is left
/// alone.
pub(super) fn signal(pid: i64, container: &str, signal: i32) -> std::io::Result<()> {
    let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
    let signal = Signal::try_from(signal).map_err(|_| invalid())?;
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 1).ok_or_else(invalid)?;
    if !is_of(pid, container) {
        return Err(std::io::ErrorKind::NotFound.into());
    }
    // The engine makes each command the leader of a session and a group.
    kill(Pid::from_raw(-pid), signal).or_else(|_| kill(Pid::from_raw(pid), signal))?;
    Ok(())
}

/// Whether the process is in the container's control group.
fn is_of(pid: i32, container: &str) -> bool {
    let path = PathBuf::from(format!("/proc/{pid}/cgroup"));
    container.len() >= 32
        && std::fs::read_to_string(path).is_ok_and(|groups| groups.contains(container))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_no_container_is_never_signalled() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let refused = signal(i64::from(child.id()), &"a".repeat(64), 9).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::NotFound);
        assert!(child.try_wait().unwrap().is_none(), "it lives");
        for pid in [-1, 0, 1, i64::MAX] {
            assert!(signal(pid, &"a".repeat(64), 9).is_err());
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
