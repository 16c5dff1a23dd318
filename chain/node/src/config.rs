//! stoad's own settings: `config/stoad.toml`, over which the environment and flags prevail.

use std::{fs, net::SocketAddr, path::PathBuf};

use anyhow::{bail, Context, Result};
use clap::ValueEnum;
use serde::Deserialize;
use stoa_chain::types::{Denom, Rate, ONE};

use crate::{
    abci::{Address, ServerOptions},
    app::AppOptions,
    home::Home,
    services::Facts,
    snapshots::Schedule,
    store::Options,
};

/// The file that `stoad init` writes: every setting with its default and what it means.
pub const TEMPLATE: &str = include_str!("stoad.toml");

/// Settings of one node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[abci]`
    pub abci: AbciConfig,
    /// `[app]`
    pub app: AppConfig,
    /// `[grpc]`
    pub grpc: GrpcConfig,
    /// `[rest]`
    pub rest: RestConfig,
    /// `[store]`
    pub store: StoreConfig,
    /// `[snapshots]`
    pub snapshots: SnapshotConfig,
    /// `[metrics]`
    pub metrics: MetricsConfig,
    /// `[cometbft]`
    pub cometbft: CometConfig,
}

impl Default for Config {
    fn default() -> Self {
        // One place says the defaults: the documented file. A test reads it.
        toml::from_str(TEMPLATE).unwrap_or_else(|_| Self::bare())
    }
}

/// Where CometBFT reaches the state machine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbciConfig {
    /// Address to listen on; empty: a unix socket in the home.
    pub laddr: String,
    /// Longest request in MiB.
    pub frame_limit_mib: usize,
    /// Connections at a time.
    pub max_connections: usize,
}

/// The state machine's local policies.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppConfig {
    /// Least gas prices, as `0.025ustoa,0.01uusd`; empty: none.
    pub min_gas_prices: String,
    /// Blocks that CometBFT keeps; 0: all.
    pub retain_blocks: u64,
}

/// The gRPC server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcConfig {
    /// Address to listen on; empty: no gRPC.
    pub laddr: String,
    /// Connections at a time.
    pub max_connections: usize,
}

/// The REST server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestConfig {
    /// Address to listen on; empty: no REST.
    pub address: String,
    /// Connections at a time.
    pub max_connections: usize,
    /// Whether pages of any origin may call it from a browser.
    pub cors: bool,
}

/// The database.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// Block cache in MiB.
    pub block_cache_mib: usize,
    /// Write buffer of each column family in MiB.
    pub write_buffer_mib: usize,
    /// How much history is kept.
    pub pruning: Pruning,
    /// Heights whose history is kept where `pruning` is custom; 0: all.
    pub retain_heights: u64,
}

/// How much history of the state is kept, for proofs, exports and a rollback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Pruning {
    /// The last 10,000 heights.
    Default,
    /// All heights are kept.
    Nothing,
    /// All but the last 10 heights are forgotten.
    Everything,
    /// As many heights as `retain_heights` says.
    Custom,
}

/// Snapshots for nodes that join.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotConfig {
    /// Blocks from one to the next; 0: none are made.
    pub interval: u64,
    /// How many of the newest are kept.
    pub keep: usize,
}

/// The metrics server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Address to listen on; empty: none.
    pub laddr: String,
    /// Seconds since the last block from which on /health says that the node stands still.
    pub max_block_age: u64,
}

/// The consensus engine's process.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CometConfig {
    /// The program; empty: `cometbft` in PATH.
    pub path: String,
    /// File of its log; empty: stderr.
    pub log_file: String,
    /// Its log level; empty: as in its own config.
    pub log_level: String,
}

impl Config {
    /// Reads a home's file; a home without one has the defaults.
    pub fn read(home: &Home) -> Result<Self> {
        let path = home.stoad_config();
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).with_context(|| path.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Reads a text; sections and settings that it lacks have their defaults.
    pub fn parse(text: &str) -> Result<Self> {
        let mut merged: toml::Table = toml::from_str(TEMPLATE)?;
        let given: toml::Table = toml::from_str(text)?;
        for (section, settings) in given {
            match (merged.get_mut(&section), settings) {
                (Some(toml::Value::Table(known)), toml::Value::Table(given)) => known.extend(given),
                (_, settings) => drop(merged.insert(section, settings)),
            }
        }
        Ok(merged.try_into()?)
    }

    /// Where the ABCI server listens.
    pub fn abci_address(&self, home: &Home) -> Result<Address> {
        if self.abci.laddr.is_empty() {
            let socket = format!("unix://{}", home.abci_socket().display());
            return socket.parse().context("name another socket by --abci-laddr");
        }
        Ok(self.abci.laddr.parse()?)
    }

    /// Where the gRPC server listens, if it does.
    pub fn grpc_address(&self) -> Result<Option<SocketAddr>> {
        listen_address(&self.grpc.laddr)
            .with_context(|| format!("grpc.laddr {:?}: as 127.0.0.1:9090", self.grpc.laddr))
    }

    /// Where the REST server listens, if it does.
    pub fn rest_address(&self) -> Result<Option<SocketAddr>> {
        listen_address(&self.rest.address)
            .with_context(|| format!("rest.address {:?}: as 127.0.0.1:1317", self.rest.address))
    }

    /// What is told to clients of this node.
    pub fn facts(&self) -> Facts {
        Facts {
            min_gas_prices: self.app.min_gas_prices.clone(),
            retain_heights: self.retain_heights(),
        }
    }

    /// Bounds of the ABCI server.
    pub fn server_options(&self) -> ServerOptions {
        ServerOptions {
            frame_limit: mib(self.abci.frame_limit_mib),
            max_connections: self.abci.max_connections,
        }
    }

    /// The application's policies.
    pub fn app_options(&self) -> Result<AppOptions> {
        Ok(AppOptions {
            min_gas_prices: parse_prices(&self.app.min_gas_prices).context("app.min_gas_prices")?,
            retain_blocks: self.app.retain_blocks,
        })
    }

    /// The database's settings.
    pub fn store_options(&self) -> Options {
        Options {
            block_cache_bytes: mib(self.store.block_cache_mib),
            write_buffer_bytes: mib(self.store.write_buffer_mib),
            retain_heights: self.retain_heights(),
            ..Options::default()
        }
    }

    /// How many of the last heights keep their history; 0: all.
    pub fn retain_heights(&self) -> u64 {
        match self.store.pruning {
            Pruning::Default => 10_000,
            Pruning::Nothing => 0,
            Pruning::Everything => 10,
            Pruning::Custom => self.store.retain_heights,
        }
    }

    /// When snapshots are made.
    pub fn schedule(&self) -> Schedule {
        Schedule { interval: self.snapshots.interval, keep: self.snapshots.keep }
    }

    /// Where metrics are served, if they are.
    pub fn metrics_address(&self) -> Result<Option<SocketAddr>> {
        if self.metrics.laddr.is_empty() {
            return Ok(None);
        }
        let text = self.metrics.laddr.strip_prefix("tcp://").unwrap_or(&self.metrics.laddr);
        let wrong = || format!("metrics.laddr {text:?}: expected IP:PORT, as 127.0.0.1:26661");
        Ok(Some(text.parse().with_context(wrong)?))
    }

    /// The program that the file names.
    pub fn comet_path(&self) -> Option<PathBuf> {
        (!self.cometbft.path.is_empty()).then(|| PathBuf::from(&self.cometbft.path))
    }

    fn bare() -> Self {
        Self {
            abci: AbciConfig { laddr: String::new(), frame_limit_mib: 110, max_connections: 16 },
            app: AppConfig { min_gas_prices: String::new(), retain_blocks: 0 },
            grpc: GrpcConfig { laddr: String::new(), max_connections: 256 },
            rest: RestConfig { address: String::new(), max_connections: 256, cors: false },
            store: StoreConfig {
                block_cache_mib: 512,
                write_buffer_mib: 64,
                pruning: Pruning::Default,
                retain_heights: 0,
            },
            snapshots: SnapshotConfig { interval: 0, keep: 2 },
            metrics: MetricsConfig { laddr: String::new(), max_block_age: 60 },
            cometbft: CometConfig {
                path: String::new(),
                log_file: String::new(),
                log_level: String::new(),
            },
        }
    }
}

/// IP:PORT, after tcp:// or not; nothing where the text is empty.
fn listen_address(text: &str) -> Result<Option<SocketAddr>> {
    if text.is_empty() {
        return Ok(None);
    }
    let address = text.strip_prefix("tcp://").unwrap_or(text).parse();
    Ok(Some(address.context("expected IP:PORT")?))
}

fn mib(count: usize) -> usize {
    count.saturating_mul(1 << 20)
}

/// Gas prices as `0.025ustoa,0.01uusd`, exact to 18 decimals.
pub fn parse_prices(text: &str) -> Result<Vec<(Denom, Rate)>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(parse_price).collect()
}

fn parse_price(text: &str) -> Result<(Denom, Rate)> {
    let Some(end) = text.find(|c: char| c != '.' && !c.is_ascii_digit()) else {
        bail!("{text:?} has no denom; expected a price as 0.025ustoa");
    };
    let (number, denom) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 9 || fraction.len() > 18 || fraction.contains('.') {
        bail!("{number:?} is no price; expected a number as 0.025, with at most 18 decimals");
    }
    let whole: u128 = whole.parse()?;
    let fraction: u128 = format!("{fraction:0<18}").parse()?;
    let raw = whole.checked_mul(ONE).and_then(|raw| raw.checked_add(fraction));
    let raw = raw.with_context(|| format!("{text:?} is too large"))?;
    Ok((Denom::try_from(denom)?, Rate::from_raw(raw)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_whole_and_gives_the_defaults() {
        let config: Config = toml::from_str(TEMPLATE).unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.store_options(), Options::default());
        assert_eq!(config.server_options().frame_limit, ServerOptions::default().frame_limit);
        assert_eq!(Config::parse("").unwrap(), config);
    }

    #[test]
    fn a_file_may_set_some_and_no_unknown_settings() {
        let config = Config::parse("[grpc]\nladdr = \"tcp://127.0.0.1:1\"").unwrap();
        assert_eq!(config.grpc_address().unwrap(), Some("127.0.0.1:1".parse().unwrap()));
        let config = Config::parse("[rest]\naddress = \"0.0.0.0:1317\"").unwrap();
        assert_eq!(config.rest_address().unwrap(), Some("0.0.0.0:1317".parse().unwrap()));
        assert!(!config.rest.cors, "no page may call it unless it is said");
        let config = Config::parse("[rest]\naddress = \"\"").unwrap();
        assert_eq!(config.rest_address().unwrap(), None);
        assert!(Config::parse("[rest]\naddress = \"1317\"").unwrap().rest_address().is_err());
        assert_eq!(config.store, Config::default().store);
        for bad in ["[grpc]\nlader = 1", "[typo]\na = 1", "[grpc]\nladdr = 5"] {
            assert!(Config::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pruning_presets_say_how_much_history_is_kept() {
        let kept = |text: &str| Config::parse(text).unwrap().store_options().retain_heights;
        assert_eq!(kept("[store]\npruning = \"nothing\""), 0);
        assert_eq!(kept("[store]\npruning = \"everything\""), 10);
        assert_eq!(kept("[store]\npruning = \"custom\"\nretain_heights = 7"), 7);
        assert_eq!(kept("[store]\nretain_heights = 7"), 10_000, "custom alone looks at it");
        assert!(Config::parse("[store]\npruning = \"some\"").is_err());
    }

    #[test]
    fn prices_are_exact() {
        let prices = parse_prices("0.025ustoa, 3uusd").unwrap();
        let raw: Vec<_> = prices.iter().map(|(d, r)| (d.as_str(), r.raw())).collect();
        assert_eq!(raw, [("ustoa", ONE / 40), ("uusd", 3 * ONE)]);
        assert!(parse_prices("").unwrap().is_empty());
        for bad in ["1", "ustoa", "1.2.3ustoa", ".5ustoa", "-1ustoa", "1u"] {
            assert!(parse_prices(bad).is_err(), "{bad}");
        }
    }
}
