//! Kills this process at a named step, for tests which show that a daemon
//! killed between any two steps converges when it is started again.
//!
//! Compiled in for debug builds and with the feature `failpoints`; a release
//! build has neither the check nor the environment variable.

/// The environment variable that names the step to die at.
pub const ENVIRONMENT_VARIABLE: &str = "STOA_FAILPOINT";

/// Ends the process with SIGKILL where `STOA_FAILPOINT` names this step:
/// no destructor, no flush, just as a power cut would.
#[cfg(any(debug_assertions, feature = "failpoints"))]
pub fn failpoint(step: &str) {
    use nix::sys::signal::{kill, Signal};
    let wanted = match std::env::var_os(ENVIRONMENT_VARIABLE) {
        Some(wanted) => wanted == step,
        None => SETTING.get().is_some_and(|wanted| wanted == step),
    };
    if wanted {
        let _ = kill(nix::unistd::getpid(), Signal::SIGKILL);
        // The signal may take a moment to arrive; nothing may happen after it.
        loop {
            std::thread::park();
        }
    }
}

/// Does nothing in a release build.
#[cfg(not(any(debug_assertions, feature = "failpoints")))]
#[inline(always)]
pub fn failpoint(_step: &str) {}

/// Takes the step from the settings, where the environment names none. To be
/// called before anything else runs.
pub fn arm(step: &str) {
    let _ = SETTING.set(step.to_string());
}

static SETTING: std::sync::OnceLock<String> = std::sync::OnceLock::new();
