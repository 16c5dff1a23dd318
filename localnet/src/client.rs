//! Homes for `stoa`, so that it needs no flags to speak to the network.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{bail, Context, Result};
use serde_json::Value;
use stoa_client::{config::Settings, keys::Backend};
use tokio::process::Command;

use crate::state::{private_dir, write_file, State};

/// `stoa` with a home of its own.
#[derive(Clone, Debug)]
pub struct Client {
    program: PathBuf,
    home: PathBuf,
}

impl Client {
    /// Makes the home of a key of the network's keyring below `clients/`, or finds it.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn new(program: PathBuf, dir: &Path, state: &State, key: &str) -> Result<Self> {
        let home = home(dir, key);
        private_dir(&home)?;
        let settings = Settings {
            chain_id: Some(state.chain_id.clone()),
            rpc: Some(state.rpcs()),
            grpc: Some(state.grpcs()),
            keyring_dir: Some(state.keys.dir.clone()),
            keyring_backend: Some(Backend::Test),
            key: Some(key.to_owned()),
            ..Settings::default()
        };
        write_file(&home.join("config.toml"), settings.to_toml()?.as_bytes(), 0o600)?;
        Ok(Self { program, home })
    }

    /// Its home directory, for `STOA_HOME`.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A command that is killed when it is dropped.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if is_ours(&name) {
                command.env_remove(name);
            }
        }
        command.args(args).env("STOA_HOME", &self.home);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a command with `-o json` to its end, and reads what it printed. Its progress goes
    /// where ours does.
    ///
    /// # Errors
    /// If it fails, or does not print JSON.
    pub async fn json(&self, args: &[&str]) -> Result<Value> {
        let told = || format!("stoa {}", args.join(" "));
        let args = ["-o", "json"].iter().chain(args);
        let mut command = self.command(args);
        // Not `output()`, which would take the progress as well.
        let child = command.stdout(Stdio::piped()).spawn().with_context(told)?;
        let output = child.wait_with_output().await.with_context(told)?;
        let printed = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("`{}`: {}\n{}", told(), output.status, printed.trim());
        }
        serde_json::from_str(&printed).with_context(|| format!("`{}` printed {printed}", told()))
    }
}

impl Client {
    /// Runs a command to its end; what it printed for people.
    ///
    /// # Errors
    /// If it fails: with what it said.
    pub async fn text(&self, args: &[&str]) -> Result<String> {
        let told = || format!("stoa {}", args.join(" "));
        let output = self.command(args).output().await.with_context(told)?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("`{}`: {}\n{}", told(), output.status, said.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Whether a variable sets something of Stoa's programs: what the caller's shell has set for one
/// network is not meant for this one.
pub fn is_ours(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("STOA_") || name.starts_with("STOAD_")
}

/// Where the home of a key is.
pub fn home(dir: &Path, key: &str) -> PathBuf {
    dir.join("clients").join(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_settings_are_told_apart() {
        assert!(is_ours(OsStr::new("STOA_RPC")) && is_ours(OsStr::new("STOAD_HOME")));
        assert!(!is_ours(OsStr::new("PATH")) && !is_ours(OsStr::new("MY_STOA_RPC")));
    }

    #[test]
    fn a_home_names_network_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let state = State { chain_id: "c-1".into(), ..State::default() };
        let client = Client::new("stoa".into(), dir.path(), &state, "tenant").unwrap();
        let settings = Settings::read(&client.home().join("config.toml")).unwrap();
        assert_eq!(settings.chain_id.as_deref(), Some("c-1"));
        assert_eq!(settings.key.as_deref(), Some("tenant"));
        assert_eq!(settings.keyring_backend, Some(Backend::Test));
    }
}
