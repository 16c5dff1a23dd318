//! `stoa-localnet up`: in the foreground, or kept by a process of its own.

use std::{
    fs::OpenOptions,
    io::{IsTerminal, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure, Context, Result};
use tokio::signal::unix::{signal, SignalKind};

use crate::{control, explain_log, status::Status, Localnet, Options, State};

/// How often the status line is drawn.
const REDRAW: Duration = Duration::from_secs(1);

/// How often the line is printed where no terminal could redraw it.
const REPRINT: Duration = Duration::from_secs(60);

/// How long a detached network may take to come up.
const DETACH_DEADLINE: Duration = Duration::from_secs(300);

/// Waits for SIGINT, SIGTERM or SIGHUP. The handlers stand from the moment this is called, not
/// only once it is awaited; scripts start their children with SIGINT ignored, and this undoes it.
///
/// # Errors
/// If handlers cannot be set.
pub fn asked_to_end() -> Result<impl std::future::Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Starts a network and keeps it until a signal comes.
///
/// # Errors
/// What does not come up, or cannot be taken down.
pub async fn foreground(options: Options) -> Result<()> {
    let mut end = Box::pin(asked_to_end()?);
    let network = Arc::new(Localnet::prepare(options)?);
    let progress = |text: &str| eprintln!("{text}");
    tokio::select! {
        result = network.bring_up(&progress) => result?,
        () = &mut end => {
            eprintln!("taking the network down");
            return network.down();
        }
    }
    let server = control::Server::start(Arc::clone(&network))?;
    println!("{}", Status::of(&network.state(), network.dir()).await.to_text());
    write_marker(network.dir())?;
    tokio::select! {
        () = show_line(&network) => {}
        () = &mut end => {}
    }
    drop(server);
    eprintln!("\ntaking the network down");
    network.down()
}

/// Draws the status line for ever; says once of each program that it ended.
async fn show_line(network: &Localnet) {
    let is_terminal = std::io::stdout().is_terminal();
    let mut known_ended = Vec::new();
    loop {
        let ended = network.ended();
        for name in ended.iter().filter(|name| !known_ended.contains(*name)) {
            println!("\r\x1b[K{name} ended by itself\n{}", network.explain(name));
        }
        known_ended = ended;
        let line = Status::of(&network.state(), network.dir()).await.to_line();
        if is_terminal {
            print!("\r\x1b[K{line}");
            // A closed terminal sends its signal, too.
            let _ = std::io::stdout().flush();
        } else {
            println!("{line}");
        }
        tokio::time::sleep(if is_terminal { REDRAW } else { REPRINT }).await;
    }
}

/// Starts a network kept by a process of its own, and waits until it works.
///
/// # Errors
/// What the process says where it fails.
pub async fn detached(dir: &Path, arguments: &[std::ffi::OsString]) -> Result<()> {
    let mut end = Box::pin(asked_to_end()?);
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    if State::read(dir)?.is_some_and(|state| state.is_up()) {
        let shown = dir.display();
        bail!("a network runs in {shown}; `stoa-localnet down --dir {shown}` ends it");
    }
    let _ = std::fs::remove_file(marker(dir));
    // Beside the directory's own files: those are cleared when a network is made.
    let log_path = std::env::temp_dir().join(format!("stoa-localnet-{}.log", std::process::id()));
    let log = OpenOptions::new().create(true).write(true).truncate(true).open(&log_path)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut child = in_own_session(&mut command).spawn()?;
    let deadline = Instant::now() + DETACH_DEADLINE;
    let outcome = loop {
        if let Some(ended) = child.try_wait()? {
            break Err(anyhow::anyhow!("the network did not come up ({ended})"));
        }
        if marker(dir).exists() {
            break Ok(());
        }
        if Instant::now() >= deadline {
            break Err(anyhow::anyhow!("the network did not come up in time"));
        }
        tokio::select! {
            () = &mut end => break Err(anyhow::anyhow!("interrupted")),
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    };
    if let Err(error) = outcome {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id())?);
        // It may have ended already; it cleans up after itself either way.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = child.wait();
        let said = explain_log(&log_path);
        let _ = std::fs::remove_file(&log_path);
        return Err(error.context(said));
    }
    let kept = dir.join("logs/supervisor.log");
    // The open file stays the same one; only its name moves, within a file system.
    if std::fs::rename(&log_path, &kept).is_err() {
        std::fs::copy(&log_path, &kept).with_context(|| kept.display().to_string())?;
    }
    Ok(())
}

/// So that no terminal's signals reach it.
#[allow(unsafe_code)]
fn in_own_session(command: &mut Command) -> &mut Command {
    // SAFETY: setsid is async-signal-safe, and nothing is allocated.
    unsafe { command.pre_exec(|| Ok(nix::unistd::setsid().map(drop)?)) }
}

/// The file that says that the network came up.
fn marker(dir: &Path) -> PathBuf {
    dir.join("logs/up")
}

fn write_marker(dir: &Path) -> Result<()> {
    let path = marker(dir);
    ensure!(path.parent().is_some_and(Path::is_dir), "{} is gone", dir.display());
    std::fs::write(&path, "").with_context(|| path.display().to_string())
}
