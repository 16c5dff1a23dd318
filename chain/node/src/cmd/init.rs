//! `stoad init`.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use anyhow::{bail, Context, Result};
use rand::RngCore;
use stoa_genesis::{Document, OperatorKey, Preset};
use time::{format_description::well_known::Rfc3339, OffsetDateTime};
use zeroize::Zeroizing;

use super::{args::InitArgs, keys, tell};
use crate::{
    comet::{Binary, ConsensusPace, FileSettings},
    config::{Config, TEMPLATE},
    home::{write_new, Home},
    store::Options,
};

/// Least gas price of a real network's pools, which clients offer by default.
const MAINNET_GAS_PRICE: &str = "0.0025ustoa";

/// Makes a home. The files come in an order in which an interrupted run can be repeated:
/// stoad.toml is the last and marks a whole home.
pub fn run(home: &Home, args: &InitArgs) -> Result<()> {
    let marker = home.stoad_config();
    if marker.exists() {
        bail!("{} exists: this home is made already", marker.display());
    }
    let comet = Binary::find(args.comet.cometbft.as_deref())?;
    for dir in [home.dir(), &home.config_dir(), &home.data_dir(), &home.gentx_dir()] {
        make_private_dir(dir)?;
    }
    write_genesis(home, args)?;
    // CometBFT keeps the genesis document and any key that it finds.
    comet.init_home(home.dir())?;
    edit_comet_config(home, args)?;
    if !home.operator_key().exists() {
        write_operator_key(&home.operator_key())?;
    }
    write_new(&marker, stoad_config(args)?.as_bytes())
        .with_context(|| marker.display().to_string())?;
    tell(&format!("made {}", home.dir().display()));
    keys::run(home, super::args::Output::Json)
}

/// A directory that holds keys is its owner's alone.
fn make_private_dir(dir: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| dir.display().to_string())
}

/// Writes a new document; one that is there is another network's, and stays.
fn write_genesis(home: &Home, args: &InitArgs) -> Result<()> {
    let path = home.genesis();
    if path.exists() {
        let found = super::genesis::read(&path)?;
        if found.chain_id != args.chain_id {
            let (path, found) = (path.display(), found.chain_id);
            bail!("{path} is of chain {found:?}, not {:?}; remove one of them", args.chain_id);
        }
        tell(&format!("{} is kept", path.display()));
        return Ok(());
    }
    let time = match &args.genesis_time {
        None => OffsetDateTime::now_utc(),
        Some(text) => OffsetDateTime::parse(text, &Rfc3339)
            .with_context(|| format!("--genesis-time {text:?}: expected 2026-01-31T12:00:00Z"))?,
    };
    let document = Document::new(&args.chain_id, time, args.preset);
    stoa_genesis::check_chain_id(&args.chain_id)?;
    document.check_state()?;
    write_new(&path, document.to_json()?.as_bytes()).with_context(|| path.display().to_string())
}

fn edit_comet_config(home: &Home, args: &InitArgs) -> Result<()> {
    let path = home.comet_config();
    let mut settings = FileSettings::read(&path)?;
    settings.set_moniker(&args.moniker);
    settings.set_p2p(&args.p2p.settings());
    settings.set_pace(ConsensusPace { block_ms: args.block_time_ms });
    settings.set_pool(stoa_chain::tx::MAX_TX_BYTES);
    if args.local {
        settings.set_local();
    } else {
        settings.set_metrics();
    }
    Ok(settings.write(&path)?)
}

/// The documented defaults, with what was asked for.
fn stoad_config(args: &InitArgs) -> Result<String> {
    let mut document: toml_edit::DocumentMut = TEMPLATE.parse()?;
    if let Some(laddr) = &args.grpc_laddr {
        document["grpc"]["laddr"] = toml_edit::value(laddr);
    }
    if args.preset == Preset::Mainnet {
        document["app"]["min_gas_prices"] = toml_edit::value(MAINNET_GAS_PRICE);
    }
    // Several nodes on one machine cannot all have the one usual port.
    let none = args.local.then(String::new);
    if let Some(address) = args.rest_address.clone().or(none) {
        document["rest"]["address"] = toml_edit::value(address);
    }
    if args.preset == Preset::Devnet {
        document["rest"]["cors"] = toml_edit::value(true);
    }
    if args.local {
        // Several nodes on one machine have no port in common.
        document["metrics"]["laddr"] = toml_edit::value("");
        let small = Options::local();
        let mib = |bytes: usize| i64::try_from(bytes >> 20).unwrap_or(i64::MAX);
        document["store"]["block_cache_mib"] = toml_edit::value(mib(small.block_cache_bytes));
        document["store"]["write_buffer_mib"] = toml_edit::value(mib(small.write_buffer_bytes));
    }
    let text = document.to_string();
    let config = Config::parse(&text)?;
    config.grpc_address()?;
    config.rest_address()?;
    Ok(text)
}

/// A new secret key in a file that only its owner reads.
fn write_operator_key(path: &Path) -> Result<()> {
    let text = loop {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        rand::rngs::OsRng.fill_bytes(&mut *bytes);
        if OperatorKey::from_bytes(*bytes).is_ok() {
            break Zeroizing::new(hex::encode(*bytes));
        }
    };
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    })
    .with_context(|| path.display().to_string())
}
