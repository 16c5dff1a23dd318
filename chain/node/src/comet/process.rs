//! The running CometBFT process: it never outlives stoad, and stoad never runs without it.

use std::{
    fs::OpenOptions,
    io,
    os::{
        fd::AsFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{kill, Signal},
    unistd::{getppid, Pid},
};
use tracing::{info, warn};

use super::{Binary, CometError, P2pSettings, StateSyncSettings};
use crate::abci::Address;

/// How long CometBFT may take to stop before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(20);

/// Pause between looks at the process.
const POLL: Duration = Duration::from_millis(50);

/// Where CometBFT's own log goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LogTarget {
    /// Between stoad's own lines on stderr.
    #[default]
    Stderr,
    /// Appended to a file.
    File(PathBuf),
}

/// What CometBFT is started with.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub binary: Binary,
    /// Its home, which is also stoad's.
    pub home: PathBuf,
    /// Where this node's ABCI server listens.
    pub proxy_app: Address,
    /// What differs from its own config file.
    pub p2p: P2pSettings,
    /// From where it takes the state, if it has none.
    pub state_sync: Option<StateSyncSettings>,
    /// Its log level, as `info` or `consensus:debug,*:error`.
    pub log_level: Option<String>,
    /// Where its log goes.
    pub log: LogTarget,
}

impl Launch {
    fn command(&self) -> Result<Command, CometError> {
        let mut command = Command::new(self.binary.path());
        command.arg("start").arg("--home").arg(&self.home);
        command.arg("--proxy_app").arg(self.proxy_app.to_string()).args(["--abci", "socket"]);
        let P2pSettings { p2p_laddr, rpc_laddr, persistent_peers, seeds, external_address } =
            &self.p2p;
        let flags = [
            ("--p2p.laddr", p2p_laddr),
            ("--rpc.laddr", rpc_laddr),
            ("--p2p.persistent_peers", persistent_peers),
            ("--p2p.seeds", seeds),
            ("--p2p.external-address", external_address),
            ("--log_level", &self.log_level),
        ];
        for (flag, setting) in flags {
            if let Some(setting) = setting {
                command.arg(flag).arg(setting);
            }
        }
        if let Some(state_sync) = &self.state_sync {
            command.envs(state_sync.environment());
        }
        let (out, err) = self.outputs()?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        Ok(command)
    }

    /// Standard output belongs to stoad's own data: CometBFT's log goes elsewhere.
    fn outputs(&self) -> Result<(Stdio, Stdio), CometError> {
        let open = || -> io::Result<(Stdio, Stdio)> {
            match &self.log {
                LogTarget::Stderr => {
                    let stderr = io::stderr().as_fd().try_clone_to_owned()?;
                    Ok((stderr.into(), Stdio::inherit()))
                }
                LogTarget::File(path) => {
                    let file = OpenOptions::new().create(true).append(true).open(path)?;
                    Ok((file.try_clone()?.into(), file.into()))
                }
            }
        };
        open().map_err(|source| {
            let path = match &self.log {
                LogTarget::Stderr => PathBuf::from("stderr"),
                LogTarget::File(path) => path.clone(),
            };
            CometError::File { path, source }
        })
    }
}

/// Watches over one CometBFT process.
pub struct Supervisor {
    stop: mpsc::Sender<Signal>,
    thread: thread::JoinHandle<()>,
    pid: u32,
}

impl Supervisor {
    /// Starts CometBFT; `on_exit` is told once when it has ended, asked to or not.
    ///
    /// The kernel sends the parent-death signal when the *thread* that forked ends, so the
    /// process is started and awaited by one thread of its own.
    pub fn start(
        launch: &Launch,
        on_exit: impl FnOnce(ExitStatus) + Send + 'static,
    ) -> Result<Self, CometError> {
        let mut command = launch.command()?;
        kill_with_parent(&mut command);
        let program = launch.binary.path().display().to_string();
        let (stop, stopped) = mpsc::channel();
        let (report, started) = mpsc::channel();
        let supervise = move || match command.spawn() {
            Err(error) => drop(report.send(Err(error))),
            Ok(child) => {
                let _ = report.send(Ok(child.id()));
                on_exit(watch(child, &stopped));
            }
        };
        let fail = |error: String| CometError::Command { command: program.clone(), reason: error };
        let thread = thread::Builder::new()
            .name("cometbft".to_owned())
            .spawn(supervise)
            .map_err(|error| fail(error.to_string()))?;
        let pid = match started.recv() {
            Ok(Ok(pid)) => pid,
            Ok(Err(error)) => return Err(fail(error.to_string())),
            Err(_) => return Err(fail("its supervisor ended".to_owned())),
        };
        info!(pid, version = launch.binary.version(), "CometBFT started");
        Ok(Self { stop, thread, pid })
    }

    /// Process id, for messages.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends CometBFT at once and waits until it has ended.
    pub fn kill(self) {
        self.end(Signal::SIGKILL);
    }

    /// Asks CometBFT to stop, kills it if it does not, and waits until it has ended.
    pub fn stop(self) {
        self.end(Signal::SIGTERM);
    }

    fn end(self, signal: Signal) {
        // A failed send says that it has ended already.
        let _ = self.stop.send(signal);
        if self.thread.join().is_err() {
            warn!("the supervisor of CometBFT had failed");
        }
    }
}

/// The child dies with stoad, however stoad dies, and hears no Ctrl-C of its own: stoad stops
/// it first and itself after.
#[allow(unsafe_code)]
fn kill_with_parent(command: &mut Command) {
    let parent = Pid::this();
    command.process_group(0);
    // SAFETY: between fork and exec only async-signal-safe system calls are made (prctl,
    // getppid) and nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            if getppid() != parent {
                // The parent died before the signal was armed.
                return Err(io::Error::from_raw_os_error(nix::libc::ESRCH));
            }
            Ok(())
        });
    }
}

/// Waits for the child's end; stops it when asked.
fn watch(mut child: Child, stop: &mpsc::Receiver<Signal>) -> ExitStatus {
    let mut kill_at: Option<Instant> = None;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status,
            Ok(None) => {}
            Err(error) => {
                warn!(%error, "CometBFT cannot be awaited");
                return ExitStatus::from_raw(-1);
            }
        }
        match stop.recv_timeout(POLL) {
            Ok(asked) => {
                signal(&child, asked);
                kill_at = Some(Instant::now() + STOP_GRACE);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            // Nobody can ask any more: only the process's own end is of interest.
            Err(mpsc::RecvTimeoutError::Disconnected) => thread::sleep(POLL),
        }
        if kill_at.is_some_and(|at| Instant::now() >= at) {
            warn!("CometBFT did not stop in {} s and is killed", STOP_GRACE.as_secs());
            signal(&child, Signal::SIGKILL);
            kill_at = None;
        }
    }
}

fn signal(child: &Child, signal: Signal) {
    let Ok(pid) = i32::try_from(child.id()) else { return };
    // The child is not reaped yet, so its id is still its own.
    if let Err(error) = kill(Pid::from_raw(pid), signal) {
        warn!(%error, "CometBFT did not take {signal}");
    }
}
