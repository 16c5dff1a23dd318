//! A network while it lives: made, started as a whole, watched. How it goes is in `down.rs`.

mod down;

pub use down::take_down;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure, Context, Result};
use stoa_client::{
    config::{Config, Settings},
    rpc::RpcClient,
    Chain,
};

use crate::{
    client::Client,
    homes,
    keys::{self, store},
    options::Options,
    ports::{is_free, Ports},
    process::{tail, Process},
    providers,
    state::{private_dir, Running, State},
};
use down::{clear, remove};

/// The network counts as up when every node has come to this height.
const FIRST_HEIGHT: u64 = 2;

/// How long nodes have to come to it.
const NODES_DEADLINE: Duration = Duration::from_secs(90);

/// How long a provider has until its gateway listens.
const PROVIDER_DEADLINE: Duration = Duration::from_secs(60);

/// How long everything has to end by itself when the network goes down.
const STOP_GRACE: Duration = Duration::from_secs(15);

/// How long a killed node's ports may stay taken: its CometBFT dies a moment after it.
const PORTS_DEADLINE: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(50);

/// Lines of a log that explain a failure.
const TAIL_LINES: usize = 15;

/// A running network. Dropping it takes it down.
#[derive(Debug)]
pub struct Localnet {
    options: Options,
    state: Mutex<State>,
    processes: Mutex<BTreeMap<String, Process>>,
    is_down: Mutex<bool>,
}

impl Localnet {
    /// Makes a network and waits until it works.
    ///
    /// # Errors
    /// What is missing or fails; nothing is left running.
    pub async fn start(options: Options) -> Result<Self> {
        let network = Self::prepare(options)?;
        network.bring_up(&|_| ()).await?;
        Ok(network)
    }

    /// Makes the homes; nothing runs yet. Another network's remains in the directory go.
    ///
    /// # Errors
    /// If a network runs there, or something else lies there.
    pub fn prepare(options: Options) -> Result<Self> {
        clear(&options.dir)?;
        let logs = options.dir.join("logs");
        for dir in [&options.dir, &logs] {
            private_dir(dir)?;
        }
        // From here on the directory is known as a network's, also where making it breaks off.
        State::default().write(&options.dir)?;
        let mut ports = Ports::default();
        let keys = keys::make(&options.dir.join("keys"), options.providers.len())?;
        let nodes = homes::make(&options, &mut ports, &keys)?;
        let providers = providers::make(&options, &mut ports, &keys, &nodes)?;
        let mut processes = BTreeMap::new();
        let mut add = |program: crate::process::Program| {
            processes.insert(program.name.clone(), Process::new(program));
        };
        for node in &nodes {
            add(homes::program(&options, node));
        }
        for provider in &providers {
            add(providers::daemon(&options, provider));
            add(providers::tunnel(&options, provider));
        }
        let state = State {
            chain_id: options.chain_id.clone(),
            block_ms: u64::try_from(options.block_time.as_millis()).unwrap_or(u64::MAX),
            supervisor: Running::of(std::process::id()),
            nodes,
            providers,
            keys,
        };
        state.write(&options.dir)?;
        // For whoever wants to try `stoa` on it.
        Client::new(options.programs.path("stoa"), &options.dir, &state, keys::TENANT)?;
        Ok(Self {
            options,
            state: Mutex::new(state),
            processes: Mutex::new(processes),
            is_down: Mutex::new(false),
        })
    }

    /// Starts everything, and tells `progress` what it is at.
    ///
    /// # Errors
    /// What does not come up, with the end of its log.
    pub async fn bring_up(&self, progress: &dyn Fn(&str)) -> Result<()> {
        let state = self.state();
        progress(&format!("starting {} validators", state.nodes.len()));
        for node in &state.nodes {
            self.start_one(&node.name, &[])?;
        }
        self.wait_for_height(FIRST_HEIGHT, NODES_DEADLINE).await?;
        if state.providers.is_empty() {
            return Ok(());
        }
        progress(&format!("registering {} providers", state.providers.len()));
        let chain = self.chain().await?;
        let registrations =
            state.providers.iter().map(|one| providers::register(&chain, &state.keys, one));
        futures::future::try_join_all(registrations).await?;
        providers::audit(&chain, &state.keys, &state.providers).await?;
        progress("starting the providers");
        // The data planes first: a control daemon that finds none starts its own.
        for provider in &state.providers {
            self.start_one(&provider.tunnel_name, &[])?;
        }
        for provider in &state.providers {
            self.wait_for_listener(&provider.tunnel_name, &provider.ingress).await?;
            self.start_one(&provider.name, &[])?;
        }
        for provider in &state.providers {
            self.wait_for_provider(&provider.name).await?;
        }
        Ok(())
    }

    /// What it was made to be.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.options.dir
    }

    /// What it is made of, and what runs of it.
    pub fn state(&self) -> State {
        lock(&self.state).clone()
    }

    /// A connection that any of its nodes answers.
    ///
    /// # Errors
    /// If none does.
    pub async fn chain(&self) -> Result<Chain> {
        let state = self.state();
        let settings = Settings {
            chain_id: Some(state.chain_id.clone()),
            rpc: Some(state.rpcs()),
            grpc: Some(state.grpcs()),
            ..Settings::default()
        };
        Ok(Chain::connect(&Config::settle(self.options.dir.clone(), settings)).await?)
    }

    /// `stoa` with a home for a key of the network's keyring.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn client(&self, key: &str) -> Result<Client> {
        Client::new(self.options.programs.path("stoa"), self.dir(), &self.state(), key)
    }

    /// A development key.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn key(&self, name: &str) -> Result<stoa_client::keys::SecretKey> {
        Ok(store(&self.state().keys.dir).get(name)?)
    }

    /// Starts a program of the network; `env` is set for this run alone.
    ///
    /// # Errors
    /// If there is none of this name, or it cannot be started.
    pub fn start_one(&self, name: &str, env: &[(&str, &str)]) -> Result<()> {
        if let Some(provider) = self.state().providers.iter().find(|one| one.name == name) {
            // What a killed daemon left would speak for the new one.
            remove(&providers::ready_file(provider), |path| fs::remove_file(path))?;
        }
        self.with_process(name, |process| process.start(env))??;
        self.record()
    }

    /// Kills a program at once, as a power cut would.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn kill(&self, name: &str) -> Result<()> {
        self.with_process(name, Process::kill)?;
        self.wait_for_ports(name)?;
        self.record()
    }

    /// Asks a program to end, and starts it again.
    ///
    /// # Errors
    /// If there is none of this name, or it cannot be started.
    pub fn restart(&self, name: &str, env: &[(&str, &str)]) -> Result<()> {
        self.with_process(name, |process| {
            process.ask_to_stop();
            process.stop_by(Instant::now() + STOP_GRACE);
        })?;
        self.wait_for_ports(name)?;
        self.start_one(name, env)
    }

    /// A program's process id, while it runs.
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.with_process(name, Process::pid).ok().flatten()
    }

    /// The programs that ended although nobody asked them to.
    pub fn ended(&self) -> Vec<String> {
        let mut ended = Vec::new();
        for process in lock(&self.processes).values_mut() {
            if !process.is_running() && process.ended().is_some() {
                ended.push(process.program().name.clone());
            }
        }
        ended
    }

    /// Waits until a program ends by itself. False where it has not within the time.
    ///
    /// # Errors
    /// If there is none of this name.
    pub async fn wait_for_end(&self, name: &str, within: Duration) -> Result<bool> {
        let deadline = Instant::now() + within;
        while self.with_process(name, Process::is_running)? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(POLL).await;
        }
        self.wait_for_ports(name)?;
        self.record()?;
        Ok(true)
    }

    /// Waits until every running node has come to a height.
    ///
    /// # Errors
    /// If one has not in time, or ended.
    pub async fn wait_for_height(&self, height: u64, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        for node in self.state().nodes {
            let rpc = RpcClient::new(std::slice::from_ref(&node.rpc))?;
            loop {
                let at = rpc.status().await.map_or(0, |status| status.latest_height);
                if at >= height {
                    break;
                }
                self.check_alive(&node.name)?;
                ensure!(
                    Instant::now() < deadline,
                    "{} is at height {at}, not at {height}\n{}",
                    node.name,
                    self.explain(&node.name)
                );
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// Waits until a provider says that it is ready.
    ///
    /// # Errors
    /// If it does not in time, or ended.
    pub async fn wait_for_provider(&self, name: &str) -> Result<()> {
        let state = self.state();
        let provider = state.providers.iter().find(|provider| provider.name == name);
        let provider = provider.with_context(|| format!("no provider {name}"))?;
        let deadline = Instant::now() + PROVIDER_DEADLINE;
        while !providers::ready_file(provider).exists() {
            self.check_alive(name)?;
            let late = Instant::now() >= deadline;
            ensure!(!late, "{name} does not become ready\n{}", self.explain(name));
            tokio::time::sleep(POLL).await;
        }
        self.wait_for_listener(name, &provider.gateway).await
    }

    /// Waits until a program listens at an address.
    async fn wait_for_listener(&self, name: &str, address: &str) -> Result<()> {
        let deadline = Instant::now() + PROVIDER_DEADLINE;
        let address = address.split_once("://").map_or(address, |(_, rest)| rest);
        while tokio::net::TcpStream::connect(address).await.is_err() {
            self.check_alive(name)?;
            let late = Instant::now() >= deadline;
            ensure!(!late, "{name} does not listen at {address}\n{}", self.explain(name));
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// The end of the logs of a program, under their paths.
    pub fn explain(&self, name: &str) -> String {
        let logs = [homes::log(self.dir(), name), homes::comet_log(self.dir(), name)];
        let shown = logs.iter().filter(|log| log.exists());
        shown.map(|log| explain_log(log)).collect::<Vec<_>>().join("\n")
    }

    fn with_process<T>(&self, name: &str, act: impl FnOnce(&mut Process) -> T) -> Result<T> {
        let mut processes = lock(&self.processes);
        let names = || processes.keys().cloned().collect::<Vec<_>>().join(", ");
        if !processes.contains_key(name) {
            bail!("there is no {name} in this network; there are {}", names());
        }
        processes.get_mut(name).map(act).context("gone")
    }

    fn check_alive(&self, name: &str) -> Result<()> {
        let (runs, ended) = self.with_process(name, |one| (one.is_running(), one.ended()))?;
        let how = ended.map_or_else(|| "was stopped".to_owned(), |status| status.to_string());
        ensure!(runs, "{name} does not run ({how})\n{}", self.explain(name));
        Ok(())
    }

    /// A node's consensus engine is another process, which dies a moment later.
    fn wait_for_ports(&self, name: &str) -> Result<()> {
        let state = self.state();
        let ports = state.nodes.iter().find(|node| node.name == name).map(|node| {
            [&node.rpc, &node.grpc, &node.rest, &node.peer].map(|address| port_of(address))
        });
        let deadline = Instant::now() + PORTS_DEADLINE;
        for port in ports.into_iter().flatten().flatten() {
            while !is_free(port) {
                ensure!(Instant::now() < deadline, "port {port} of {name} stays taken");
                thread::sleep(POLL);
            }
        }
        Ok(())
    }

    /// Writes down what runs.
    fn record(&self) -> Result<()> {
        let running = |name: &str| self.pid(name).and_then(Running::of);
        let mut state = self.state();
        for node in &mut state.nodes {
            node.process = running(&node.name);
        }
        for provider in &mut state.providers {
            provider.process = running(&provider.name);
            provider.tunnel = running(&provider.tunnel_name);
        }
        *lock(&self.state) = state.clone();
        state.write(self.dir())
    }
}

/// The end of a log under its path.
pub fn explain_log(log: &Path) -> String {
    format!("--- {} ---\n{}", log.display(), tail(log, TAIL_LINES))
}

/// The port at the end of an address.
fn port_of(address: &str) -> Option<u16> {
    address.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking holder left is still what there is to clean up.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_stand_at_the_end() {
        assert_eq!(port_of("http://127.0.0.1:5"), Some(5));
        assert_eq!(port_of("id@127.0.0.1:65535"), Some(65_535));
        assert_eq!(port_of("nothing"), None);
    }
}
