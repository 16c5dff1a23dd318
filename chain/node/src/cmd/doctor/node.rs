//! Files, settings, the CometBFT program, keys.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Finding, Patient};
use crate::{cmd::genesis, comet::Binary};

/// All checks of what the home says.
pub fn check(patient: &Patient<'_>, comet: Option<&Path>) -> Vec<Finding> {
    let mut found = vec![home(patient)];
    if found.iter().any(|finding| finding.grade == super::Grade::Fail) {
        return found;
    }
    found.extend(secrets(patient));
    found.extend([config(patient), engine_config(patient), genesis_file(patient)]);
    found.push(program(patient, comet));
    found.push(signer(patient));
    found.extend(upgrade(patient));
    found
}

fn home(patient: &Patient<'_>) -> Finding {
    let home = patient.home;
    if !home.stoad_config().exists() {
        let what = format!("{} is no home of a node", home.dir().display());
        return Finding::fail("home", what, "make it by `stoad init`, or name another by --home");
    }
    let needed = [home.comet_config(), home.genesis(), home.node_key()];
    let missing: Vec<_> = needed.iter().filter(|path| !path.exists()).map(shown).collect();
    if !missing.is_empty() {
        let what = format!("{} is missing", missing.join(", "));
        return Finding::fail("home", what, "restore it from your backup, or make a new home");
    }
    Finding::ok("home", shown(&home.dir().to_owned()))
}

/// Secrets are their owner's alone.
fn secrets(patient: &Patient<'_>) -> Vec<Finding> {
    let home = patient.home;
    let secrets = [home.node_key(), home.validator_key(), home.operator_key()];
    let open = |path: &&PathBuf| {
        fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
    };
    let found: Vec<_> = secrets
        .iter()
        .filter(open)
        .map(|path| {
            let remedy = format!("chmod 600 {}", shown(path));
            Finding::fail("secrets", format!("{} can be read by others", shown(path)), remedy)
        })
        .collect();
    match found.is_empty() {
        true => vec![Finding::ok("secrets", "keys are readable by their owner alone")],
        false => found,
    }
}

fn config(patient: &Patient<'_>) -> Finding {
    let config = match &patient.config {
        Ok(config) => config,
        Err(error) => {
            return Finding::fail("stoad.toml", format!("{error:#}"), "correct the file");
        }
    };
    let addresses = config
        .grpc_address()
        .and(config.rest_address())
        .and(config.metrics_address())
        .and(config.abci_address(patient.home).map(drop))
        .and(config.app_options().map(drop));
    if let Err(error) = addresses {
        return Finding::fail("stoad.toml", format!("{error:#}"), "correct the file");
    }
    if config.app.min_gas_prices.is_empty() {
        let remedy = "set app.min_gas_prices, as \"0.0025ustoa\"; empty is for devnets";
        return Finding::warn(
            "stoad.toml",
            "this node takes transactions that pay nothing",
            remedy,
        );
    }
    Finding::ok("stoad.toml", "it can be read")
}

fn engine_config(patient: &Patient<'_>) -> Finding {
    let remedy = "correct config.toml";
    match &patient.comet {
        None => Finding::fail("config.toml", "it cannot be read", remedy),
        Some(settings) if settings.rpc_laddr().is_none() => {
            Finding::fail("config.toml", "it names no rpc.laddr", remedy)
        }
        Some(_) => Finding::ok("config.toml", "it can be read"),
    }
}

fn genesis_file(patient: &Patient<'_>) -> Finding {
    let checked = genesis::read(&patient.home.genesis())
        .and_then(|document| document.check_state().map(|()| document).map_err(Into::into));
    match checked {
        Ok(document) => Finding::ok("genesis", format!("chain {}", document.chain_id)),
        Err(error) => {
            let remedy = "take the network's document; compare its hash with others'";
            Finding::fail("genesis", format!("{error:#}"), remedy)
        }
    }
}

fn program(patient: &Patient<'_>, named: Option<&Path>) -> Finding {
    let configured = patient.config.as_ref().ok().and_then(|config| config.comet_path());
    match Binary::find(named.or(configured.as_deref())) {
        Ok(binary) => {
            let what = format!("{} at {}", binary.version(), binary.path().display());
            Finding::ok("cometbft", what)
        }
        Err(error) => Finding::fail("cometbft", error.to_string(), "install v0.38.x"),
    }
}

#[derive(Deserialize)]
struct SignedState {
    height: String,
}

/// The key that signs votes, and the note of what it has signed.
fn signer(patient: &Patient<'_>) -> Finding {
    let home = patient.home;
    if let Some(laddr) = patient.comet.as_ref().and_then(|comet| comet.signer_laddr()) {
        return Finding::ok("signer", format!("a remote one, at {laddr}"));
    }
    if !home.validator_key().exists() {
        let remedy = "restore the key from your backup; or set priv_validator_laddr";
        return Finding::warn("signer", "there is no validator's key", remedy);
    }
    let state = fs::read_to_string(home.validator_state());
    let state = state.map(|text| serde_json::from_str::<SignedState>(&text));
    let blocks = home.database().exists();
    match state {
        Ok(Ok(state)) => Finding::ok("signer", format!("has signed up to height {}", state.height)),
        Ok(Err(error)) => {
            let what = format!("priv_validator_state.json: {error}");
            Finding::fail(
                "signer",
                what,
                "see \"Backup\" in the validator's guide: it must be right",
            )
        }
        Err(_) if blocks => {
            let remedy = "do not start: this key may sign twice. See \"Backup\" in the guide";
            Finding::fail("signer", "the note of what the key has signed is lost", remedy)
        }
        Err(_) => Finding::ok("signer", "the key has signed nothing yet"),
    }
}

/// A program that stopped for an upgrade leaves a note.
fn upgrade(patient: &Patient<'_>) -> Option<Finding> {
    let text = fs::read_to_string(patient.home.upgrade_info()).ok()?;
    let what = format!("upgrade-info.json: {}", text.trim());
    let remedy = "if the node stands at that height, start the upgrade's program";
    Some(Finding::warn("upgrade", what, remedy))
}

#[allow(clippy::ptr_arg, reason = "it is mapped over owned paths")]
fn shown(path: &PathBuf) -> String {
    path.display().to_string()
}
