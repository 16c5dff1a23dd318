//! `make localnet` on a terminal: one line that is kept up to date, and Ctrl-C, after which nothing
//! is left. With one validator and one provider, so that it takes less of the machine.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

use std::{env, fs, path::Path, time::Duration};

use anyhow::{ensure, Context, Result};
use bollard::query_parameters::{ListNetworksOptionsBuilder, ListVolumesOptionsBuilder};
use stoa_localnet::{engine, Client, Programs, State};
use stoa_tests::{MachineLock, Terminal};
use tokio::process::Command;

/// How long the network may take to come up, the deployment to run, and all of it to go.
const WITHIN: Duration = Duration::from_secs(240);

#[tokio::test]
async fn make_localnet_keeps_one_line_up_to_date_and_ctrl_c_leaves_nothing_behind() {
    stoa_client::install_crypto();
    let _lock = MachineLock::take(&env::temp_dir().join("stoa-e2e.lock")).unwrap();
    let dir = env::temp_dir().join(format!("stoa-make-{}", std::process::id()));
    tokio::time::timeout(WITHIN, check(&dir)).await.expect("in time").unwrap();
    fs::remove_dir_all(&dir).unwrap();
}

async fn check(dir: &Path) -> Result<()> {
    let mut terminal = Terminal::start(&make_localnet(dir))?;
    let up = |screen: &str| line(screen).is_some();
    terminal.until("the status line", up).await?;
    let state = State::read(dir)?.context("no state")?;
    ensure!((state.nodes.len(), state.providers.len()) == (1, 1), "{state:?}");

    // Something to take down, deployed as the screen says: with the home that it names.
    let home = dir.join("clients/tenant");
    let screen = terminal.until("the next line", up).await?.pop().unwrap_or_default();
    ensure!(screen.contains(&format!("STOA_HOME={}", home.display())), "{screen}");
    let client = Client::new(Programs::find()?.path("stoa"), dir, &state, "tenant")?;
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("localnet/page.yaml");
    let app = app.display().to_string();
    let arguments = ["deploy", &app];
    let deploy = client.json(&arguments);
    let leased = |screen: &str| line(screen).is_some_and(|line| line.ends_with("leases 1"));
    let (deployed, screens) = tokio::try_join!(deploy, terminal.until("the lease", leased))?;
    ensure!(deployed.pointer("/leases/0/provider").is_some(), "{deployed}");
    check_line(&screens)?;
    let before = left_of(&state).await?;
    ensure!(before.len() > 3, "containers, a network, processes: {before:?}");

    terminal.interrupt().await?;
    let (screens, _) = terminal.until_end().await?;
    let last = screens.last().context("no screen")?;
    ensure!(last.contains("taking the network down"), "{last}");
    let left = left_of(&state).await?;
    ensure!(left.is_empty(), "left behind: {left:?}\n{last}");
    let state = State::read(dir)?.context("no state")?;
    ensure!(!state.is_up() && state.processes().next().is_none(), "it says that it is up");
    Ok(())
}

/// As from the command line, but with the programs that were built with this test.
fn make_localnet(dir: &Path) -> Command {
    let mut command = Command::new("make");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let args = format!("--validators 1 --providers 1 --block-time 200ms --dir {}", dir.display());
    command.arg("--directory").arg(root).arg("localnet").arg(format!("ARGS={args}"));
    // A make around this test has nothing to say to this one.
    command.env("STOA_NO_BUILD", "1").env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    command
}

/// The line is there once on every screen, and its height only grows.
fn check_line(screens: &[String]) -> Result<()> {
    let mut heights = Vec::new();
    for screen in screens {
        let lines = screen.lines().filter(|line| line.starts_with("height ")).count();
        ensure!(lines <= 1, "{lines} lines:\n{screen}");
        let height = line(screen).and_then(|line| line.split(' ').nth(1));
        heights.extend(height.and_then(|height| height.parse::<u64>().ok()));
    }
    heights.dedup();
    ensure!(heights.len() > 3 && heights.is_sorted(), "heights: {heights:?}");
    Ok(())
}

/// The status line, once it stands there whole.
fn line(screen: &str) -> Option<&str> {
    let line = screen.lines().find(|line| line.starts_with("height "))?;
    let digit = line.chars().last().is_some_and(|last| last.is_ascii_digit());
    (digit && line.contains("nodes 1/1 · peers 0 · providers 1/1 · leases ")).then_some(line)
}

/// What runs or lies of a network, in words.
async fn left_of(state: &State) -> Result<Vec<String>> {
    let docker = engine::connect().await?;
    let mut left = Vec::new();
    for provider in &state.providers {
        let all = engine::containers(&docker, &provider.address).await?;
        left.extend(all.into_iter().map(|one| format!("container {}", one.name)));
        let label = format!("stoa.provider={}", provider.address);
        let filters = [("label", vec![label])].into();
        let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
        let networks = docker.list_networks(Some(options)).await?;
        left.extend(networks.into_iter().filter_map(|one| one.name));
        let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
        let volumes = docker.list_volumes(Some(options)).await?.volumes.unwrap_or_default();
        left.extend(volumes.into_iter().map(|one| format!("volume {}", one.name)));
    }
    let dir = state.nodes.first().and_then(|node| node.home.ancestors().nth(2));
    let dir = dir.context("the network's directory")?.display().to_string();
    for entry in fs::read_dir("/proc")?.flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&dir) {
            left.push(format!("process {line}"));
        }
    }
    Ok(left)
}
