//! What a local network is to be.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{bail, Context, Result};

/// What a local network is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything of it lies.
    pub dir: PathBuf,
    /// How many validators.
    pub validators: usize,
    /// Its providers.
    pub providers: Vec<ProviderOptions>,
    /// Time from block to block.
    pub block_time: Duration,
    /// The last blocks of which a validator has to have signed half, or it is jailed.
    pub downtime_window: u64,
    /// Seconds within which a matched lease has to start; the development network's usual ones
    /// unless given.
    pub lease_start_deadline: Option<u64>,
    /// The chain's name.
    pub chain_id: String,
    /// Where the programs are found.
    pub programs: Programs,
    /// The socket of the engine that the providers use; the machine's unless given.
    pub engine: Option<PathBuf>,
}

/// One provider of a local network.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderOptions {
    /// What it says of itself and the auditor confirms.
    pub attributes: Vec<(String, String)>,
    /// Its prices are the usual ones times so many percent.
    pub price_percent: u64,
}

/// The programs of a network.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The directory of stoad, stoa, stoa-provider and stoa-tunnel.
    pub dir: PathBuf,
    /// CometBFT, the consensus engine.
    pub cometbft: PathBuf,
}

/// The most validators and the most providers that one machine is asked to carry.
pub const MAX_EACH: usize = 32;

/// Unix sockets lie below the directory, and their paths have at most 107 bytes.
const MAX_DIR_BYTES: usize = 70;

/// Blocks. Long, so that a validator that is killed and restarted is not jailed for it.
pub const DOWNTIME_WINDOW: u64 = 10_000;

impl Options {
    /// A network of the usual make in a directory.
    ///
    /// # Errors
    /// If the programs are not found, or there are too many or none.
    pub fn new(dir: &Path, validators: usize, providers: usize) -> Result<Self> {
        if validators == 0 || validators > MAX_EACH || providers > MAX_EACH {
            bail!(
                "{validators} validators and {providers} providers; right are 1 to {MAX_EACH} \
                 validators and at most {MAX_EACH} providers"
            );
        }
        let dir = std::path::absolute(dir).with_context(|| dir.display().to_string())?;
        if dir.as_os_str().len() > MAX_DIR_BYTES {
            bail!(
                "{} is too long a path for the sockets in it; choose one of at most \
                 {MAX_DIR_BYTES} bytes",
                dir.display()
            );
        }
        Ok(Self {
            dir,
            validators,
            providers: (0..providers).map(ProviderOptions::usual).collect(),
            block_time: Duration::from_secs(1),
            downtime_window: DOWNTIME_WINDOW,
            lease_start_deadline: None,
            chain_id: "stoa-local".to_owned(),
            programs: Programs::find()?,
            engine: None,
        })
    }
}

impl ProviderOptions {
    /// The usual ones: the first serves Athens, the second Rhodes, every third both, at different
    /// prices, so that each place has competition.
    pub fn usual(index: usize) -> Self {
        let (region, serves, price_percent): (_, &[&str], _) = match index % 3 {
            0 => ("athens", &["athens"], 100),
            1 => ("rhodes", &["rhodes"], 90),
            _ => ("delos", &["athens", "rhodes"], 120),
        };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut attributes = vec![pair("region", region)];
        attributes.extend(serves.iter().map(|place| pair(&format!("serves/{place}"), "true")));
        Self { attributes, price_percent }
    }
}

impl Programs {
    /// Stoa's where `STOA_BIN` says, else beside this program; CometBFT where `COMETBFT` says,
    /// else in PATH.
    ///
    /// # Errors
    /// If one is not there.
    pub fn find() -> Result<Self> {
        let dir = match env::var_os("STOA_BIN") {
            Some(dir) => PathBuf::from(dir),
            None => beside_us()?,
        };
        let dir = std::path::absolute(&dir).with_context(|| dir.display().to_string())?;
        let found = Self { dir, cometbft: find_cometbft()? };
        for name in ["stoad", "stoa", "stoa-provider", "stoa-tunnel"] {
            if !found.path(name).is_file() {
                bail!(
                    "no {name} in {}: build it with `cargo build --workspace --bins`, or name \
                     another directory by STOA_BIN",
                    found.dir.display()
                );
            }
        }
        Ok(found)
    }

    /// One of Stoa's programs.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn beside_us() -> Result<PathBuf> {
    let own = env::current_exe().context("where this program lies")?;
    let dir = own.parent().context("where this program lies")?;
    // Tests lie in a directory below the programs.
    let up = dir.parent().filter(|_| dir.ends_with("deps"));
    Ok(up.unwrap_or(dir).to_owned())
}

fn find_cometbft() -> Result<PathBuf> {
    if let Some(named) = env::var_os("COMETBFT").filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        if named.is_file() {
            return Ok(named);
        }
        bail!("COMETBFT is {}, which is no program", named.display());
    }
    let paths = env::var_os("PATH").unwrap_or_default();
    let mut all = env::split_paths(&paths).map(|dir| dir.join("cometbft"));
    all.find(|path| path.is_file()).context(
        "no cometbft in PATH: `eval \"$(scripts/env.sh)\"` builds it, or name it by COMETBFT",
    )
}

/// A duration such as `1s` or `200ms`.
///
/// # Errors
/// If it is not of that form, or not from 50 ms to 60 s.
pub fn parse_block_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?}: right is such as 1s or 200ms, from 50ms to 60s");
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').ok_or_else(wrong)?, 1000),
    };
    let millis = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(wrong)?;
    if !(50..=60_000).contains(&millis) {
        return Err(wrong());
    }
    Ok(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_times() {
        assert_eq!(parse_block_time("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(parse_block_time("200ms"), Ok(Duration::from_millis(200)));
        for bad in ["", "1", "s", "-1s", "10ms", "61s", "1.5s", "99999999999999999999s"] {
            assert!(parse_block_time(bad).unwrap_err().contains("200ms"), "{bad}");
        }
    }

    #[test]
    fn each_place_has_two_providers_at_different_prices() {
        let all: Vec<_> = (0..3).map(ProviderOptions::usual).collect();
        for place in ["serves/athens", "serves/rhodes"] {
            let prices: Vec<_> = all
                .iter()
                .filter(|p| p.attributes.iter().any(|(key, _)| key == place))
                .map(|p| p.price_percent)
                .collect();
            assert_eq!(prices.len(), 2, "{place}");
            assert_ne!(prices[0], prices[1], "{place}");
        }
    }
}
