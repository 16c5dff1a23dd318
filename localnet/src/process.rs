//! Programs that are kept running, and that never outlive who keeps them.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{mpsc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{kill, Signal},
    unistd::{getppid, Pid},
};

use crate::client::is_ours;

/// Pause between looks at a process.
const POLL: Duration = Duration::from_millis(20);

/// What is started, as often as wanted.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name in the network, such as `node0`.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// What its environment has besides ours.
    pub env: Vec<(String, OsString)>,
    /// The file that its output is appended to.
    pub log: PathBuf,
}

/// A program and, while it runs, its process.
#[derive(Debug)]
pub struct Process {
    program: Program,
    child: Option<Child>,
    /// How the last run ended, where it ended by itself.
    ended: Option<ExitStatus>,
}

impl Process {
    /// A program that does not run yet.
    pub fn new(program: Program) -> Self {
        Self { program, child: None, ended: None }
    }

    /// What is run.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Starts it; does nothing where it runs. `env` is set for this run alone.
    ///
    /// # Errors
    /// If its log or itself cannot be opened.
    pub fn start(&mut self, env: &[(&str, &str)]) -> Result<()> {
        if self.is_running() {
            return Ok(());
        }
        let Program { name, path, args, env: own, log } = &self.program;
        let open = || OpenOptions::new().create(true).append(true).open(log);
        let file = open().with_context(|| log.display().to_string())?;
        let mut command = Command::new(path);
        for (inherited, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
            command.env_remove(inherited);
        }
        command.args(args).envs(own.iter().map(|(key, value)| (key, value)));
        command.envs(env.iter().copied()).stdin(Stdio::null());
        command.stderr(file.try_clone()?).stdout(file);
        let child =
            spawn(command).with_context(|| format!("{name}: cannot start {}", path.display()))?;
        (self.child, self.ended) = (Some(child), None);
        Ok(())
    }

    /// Its process id, while it runs.
    pub fn pid(&mut self) -> Option<u32> {
        self.is_running();
        self.child.as_ref().map(Child::id)
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        let Some(child) = &mut self.child else { return false };
        match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                (self.child, self.ended) = (None, Some(status));
                false
            }
            // Nobody can tell any more; it is not ours to signal then.
            Err(_) => {
                self.child = None;
                false
            }
        }
    }

    /// How it ended, where nobody here asked it to.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.ended
    }

    /// Kills it at once, as a power cut would, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.reap();
    }

    /// Asks it to end.
    pub fn ask_to_stop(&mut self) {
        self.signal(Signal::SIGTERM);
    }

    /// Waits until it has ended, and kills it where it has not by then.
    pub fn stop_by(&mut self, deadline: Instant) {
        while self.is_running() && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        if self.is_running() {
            self.kill();
        }
        self.ended = None;
    }

    /// Waits until it ends by itself. False where it has not within the time.
    pub fn wait_for_end(&mut self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while self.is_running() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }

    fn signal(&mut self, signal: Signal) {
        if !self.is_running() {
            return;
        }
        let pid = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        // Not reaped yet, so the id is still its own. That it ended meanwhile is fine.
        let _ = pid.map(|pid| kill(Pid::from_raw(pid), signal));
    }

    fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A killed child of ours ends; there is nothing else to hear from it.
            let _ = child.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

type Job = (Command, mpsc::SyncSender<io::Result<Child>>);

/// Starts a process that is killed when this one dies, however it dies.
///
/// The kernel binds that to the *thread* that forked, and threads of a runtime come and go: one
/// thread forks everything, and lives as long as the process.
fn spawn(mut command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let gone = || io::Error::other("the thread that starts processes is gone");
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, reply) in jobs {
                // The asker waits; it cannot have gone.
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    die_with_parent(&mut command);
    let (reply, answer) = mpsc::sync_channel(1);
    spawner.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// Also keeps the terminal's Ctrl-C from it: who keeps it decides when it ends.
#[allow(unsafe_code)]
fn die_with_parent(command: &mut Command) {
    let parent = Pid::this();
    command.process_group(0);
    // SAFETY: between fork and exec only async-signal-safe system calls are made (prctl, getppid,
    // sigaction) and nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            if getppid() != parent {
                // The parent died before the signal was armed.
                return Err(io::Error::from_raw_os_error(nix::libc::ESRCH));
            }
            // A script that runs us in the background has these ignored, and that is inherited.
            for signal in [Signal::SIGINT, Signal::SIGQUIT] {
                nix::sys::signal::signal(signal, nix::sys::signal::SigHandler::SigDfl)?;
            }
            Ok(())
        });
    }
}

/// The last lines of a log, for a person to read; empty where there is none.
pub fn tail(log: &Path, lines: usize) -> String {
    const MOST: u64 = 64 << 10;
    let read = || -> io::Result<Vec<u8>> {
        use io::{Read, Seek, SeekFrom};
        let mut file = std::fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MOST)))?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

/// When a process started, in the kernel's ticks since boot: with it an id that the kernel has
/// given away again is not taken for the process that once had it. None where none has the id.
pub fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and brackets; what counts comes after its last bracket.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, dir: &Path) -> Process {
        Process::new(Program {
            name: "test".to_owned(),
            path: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: vec![("OURS".to_owned(), "1".into())],
            log: dir.join("log"),
        })
    }

    #[test]
    fn a_program_runs_is_killed_and_runs_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = shell("echo began $OURS $THIS; sleep 100", dir.path());
        assert_eq!(process.pid(), None);
        process.start(&[("THIS", "2")]).unwrap();
        let first = process.pid().unwrap();
        assert!(start_time(first).is_some());
        process.start(&[]).unwrap();
        assert_eq!(process.pid(), Some(first), "it runs already");
        while tail(&dir.path().join("log"), 5).is_empty() {
            thread::sleep(POLL);
        }
        process.kill();
        assert_eq!((process.pid(), start_time(first)), (None, None));
        process.start(&[]).unwrap();
        assert_ne!(process.pid(), Some(first));
        process.ask_to_stop();
        process.stop_by(Instant::now() + Duration::from_secs(10));
        assert!(!process.is_running());
        assert_eq!(tail(&dir.path().join("log"), 5).lines().next(), Some("began 1 2"));
    }

    #[test]
    fn one_that_ends_by_itself_is_noticed_and_one_that_will_not_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = shell("exit 7", dir.path());
        process.start(&[]).unwrap();
        assert!(process.wait_for_end(Duration::from_secs(10)));
        assert_eq!(process.ended().and_then(|status| status.code()), Some(7));
        let mut deaf = shell("trap '' TERM; echo deaf; while :; do sleep 1; done", dir.path());
        deaf.start(&[]).unwrap();
        while tail(&dir.path().join("log"), 1) != "deaf" {
            thread::sleep(POLL);
        }
        assert!(!deaf.wait_for_end(Duration::from_millis(50)));
        deaf.ask_to_stop();
        deaf.stop_by(Instant::now() + Duration::from_millis(200));
        assert!(!deaf.is_running());
    }

    #[test]
    fn a_missing_program_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = shell("", dir.path());
        process.program.path = "/no/such/program".into();
        let error = format!("{:#}", process.start(&[]).unwrap_err());
        assert!(error.contains("/no/such/program"), "{error}");
    }

    #[test]
    fn a_tail_has_the_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert_eq!(tail(&path, 3), "");
        std::fs::write(&path, "1\n2\n3\n4\n").unwrap();
        assert_eq!(tail(&path, 2), "3\n4");
        assert_eq!(tail(&path, 9), "1\n2\n3\n4");
    }
}
