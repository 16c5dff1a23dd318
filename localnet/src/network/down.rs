//! Taking a network down as a whole, whatever happened to it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{bail, ensure, Context, Result};
use nix::sys::signal::Signal;

use super::{lock, Localnet, POLL, STOP_GRACE};
use crate::{
    engine,
    options::Options,
    process::Process,
    providers,
    state::{Provider, Running, State, FILE},
};

impl Localnet {
    /// Takes everything down: processes, containers, networks, volumes. The logs stay.
    ///
    /// # Errors
    /// What could not be taken away.
    pub fn down(&self) -> Result<()> {
        let mut is_down = lock(&self.is_down);
        if *is_down {
            return Ok(());
        }
        *is_down = true;
        self.stop_all();
        let state = {
            let mut state = lock(&self.state);
            forget_processes(&mut state);
            state.clone()
        };
        kill_strays(&state);
        let cleaned = clean_engine(&state);
        for provider in &state.providers {
            remove_firewall(&self.options, provider);
        }
        state.write(self.dir())?;
        cleaned
    }

    /// Providers first, so that none takes a vanishing node for trouble.
    fn stop_all(&self) {
        let mut processes = lock(&self.processes);
        let deadline = Instant::now() + STOP_GRACE;
        for is_node in [false, true] {
            let of_kind =
                |process: &&mut Process| process.program().name.starts_with("node") == is_node;
            processes.values_mut().filter(of_kind).for_each(Process::ask_to_stop);
            let of_kind = processes.values_mut().filter(of_kind);
            of_kind.for_each(|process| process.stop_by(deadline));
        }
    }
}

impl Localnet {
    /// Kills a provider's data plane at once, whoever started it.
    ///
    /// # Errors
    /// If the state cannot be written down.
    pub fn kill_data_plane(&self, provider: &Provider) -> Result<()> {
        self.with_process(&provider.tunnel_name, Process::kill)?;
        kill_with_argument(&[providers::control_socket(provider)]);
        self.record()
    }
}

impl Drop for Localnet {
    fn drop(&mut self) {
        if let Err(error) = self.down() {
            eprintln!("taking the network down: {error:#}");
        }
    }
}

/// Takes down a network that somebody else started: asks who keeps it, else does it itself.
///
/// # Errors
/// If there is none, or something of it stays.
pub fn take_down(dir: &Path) -> Result<()> {
    let Some(mut state) = State::read(dir)? else {
        bail!("{} holds no network", dir.display());
    };
    if let Some(supervisor) = state.supervisor.filter(Running::is_alive) {
        signal(supervisor, Signal::SIGTERM);
        let deadline = Instant::now() + STOP_GRACE * 4;
        while supervisor.is_alive() {
            if Instant::now() >= deadline {
                signal(supervisor, Signal::SIGKILL);
            }
            thread::sleep(POLL);
        }
        state = State::read(dir)?.context("its state is gone")?;
    }
    // What follows finds nothing where the supervisor did its work.
    for process in state.processes().filter(Running::is_alive) {
        signal(process, Signal::SIGKILL);
    }
    forget_processes(&mut state);
    kill_strays(&state);
    let cleaned = clean_engine(&state);
    state.write(dir)?;
    cleaned
}

/// A control daemon that finds no data plane starts one that outlives it: those that serve a
/// socket of this network go with it.
fn kill_strays(state: &State) {
    kill_with_argument(&state.providers.iter().map(providers::control_socket).collect::<Vec<_>>());
}

/// Kills all processes that have one of these among their arguments.
fn kill_with_argument(sockets: &[PathBuf]) {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        let Some(process) = pid.and_then(Running::of) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let mut arguments = line.split(|byte| *byte == 0);
        if arguments
            .any(|one| sockets.iter().any(|path| path.as_os_str().as_encoded_bytes() == one))
        {
            signal(process, Signal::SIGKILL);
        }
    }
}

fn forget_processes(state: &mut State) {
    state.supervisor = None;
    state.nodes.iter_mut().for_each(|node| node.process = None);
    for provider in &mut state.providers {
        (provider.process, provider.tunnel) = (None, None);
    }
}

fn signal(process: Running, signal: Signal) {
    if let Ok(pid) = i32::try_from(process.pid) {
        // That it has ended meanwhile is fine.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
    }
}

/// On a thread of its own: this also runs where a runtime already does, or no longer does.
/// The host's rules against a provider's workloads, of which there are none any more. Who may
/// not change rules has set none.
fn remove_firewall(options: &Options, provider: &Provider) {
    let mut command = Command::new(options.programs.path("stoa-provider"));
    command.arg("--config").arg(providers::config_path(provider)).args(["firewall", "remove"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if !command.status().is_ok_and(|status| status.success()) {
        eprintln!("the firewall rules of {} could not be removed", provider.name);
    }
}

fn clean_engine(state: &State) -> Result<()> {
    let providers: Vec<String> = state.providers.iter().map(|one| one.address.clone()).collect();
    let work = move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(engine::remove_all(&providers))?;
        engine::remove_guard();
        Ok(())
    };
    thread::spawn(work).join().unwrap_or_else(|_| bail!("removing the containers failed"))
}

/// Makes room for a new network. Only what a network left is removed.
pub(super) fn clear(dir: &Path) -> Result<()> {
    let shown = dir.display();
    match State::read(dir)? {
        Some(state) if state.is_up() => {
            bail!("a network runs in {shown}; `stoa-localnet down --dir {shown}` ends it")
        }
        Some(_) => take_down(dir)?,
        None => {
            let mut entries = fs::read_dir(dir).into_iter().flatten();
            ensure!(
                entries.next().is_none(),
                "{shown} has files that are no network's; choose an empty or a new directory"
            );
        }
    }
    for name in ["nodes", "providers", "keys", "gentx", "clients", "logs"] {
        remove(&dir.join(name), |path| fs::remove_dir_all(path))?;
    }
    remove(&dir.join(FILE), |path| fs::remove_file(path))
}

pub(super) fn remove(path: &Path, how: fn(&Path) -> std::io::Result<()>) -> Result<()> {
    match how(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_network_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let foreign = dir.path().join("thesis.tex");
        fs::write(&foreign, "").unwrap();
        let error = clear(dir.path()).unwrap_err().to_string();
        assert!(error.contains("no network's") && foreign.exists(), "{error}");
        State::default().write(dir.path()).unwrap();
        fs::create_dir(dir.path().join("nodes")).unwrap();
        clear(dir.path()).unwrap();
        assert!(!dir.path().join("nodes").exists() && foreign.exists());
    }

    #[test]
    fn a_running_network_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let supervisor = Running::of(std::process::id());
        State { supervisor, ..State::default() }.write(dir.path()).unwrap();
        assert!(clear(dir.path()).unwrap_err().to_string().contains("down --dir"));
    }
}
