//! What an agent knows: its settings and its certificate, in one directory.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use stoa_client::tls::{certificates_of_pem, tenant, Identity};

use crate::config::{Engine, Workloads};
use crate::hosts::{is_host_name, Joined, Request};
use crate::runtime::RuntimeConfig;
use crate::store;

const SETTINGS: &str = "agent.toml";
const IDENTITY: &str = "agent.pem";
const AUTHORITY: &str = "authority.crt";
/// Of the certificate that only carries the key to the daemon.
const REQUEST_DAYS: u32 = 30;

/// `agent.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// This machine's name.
    pub name: String,
    /// The provider's address; empty until the machine has joined.
    #[serde(default)]
    pub provider: String,
    /// Where the control daemon connects.
    pub listen: SocketAddr,
    /// Where the front data plane connects.
    pub relay: SocketAddr,
    /// The data plane's program; the one beside this program unless set.
    #[serde(default)]
    pub tunnel_binary: Option<PathBuf>,
    #[serde(default)]
    pub engine: Engine,
    #[serde(default)]
    pub workloads: Workloads,
}

/// The directory.
#[derive(Debug, Clone)]
pub struct AgentDir {
    path: PathBuf,
}

impl AgentDir {
    pub fn new(path: &Path) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Certificate and key.
    pub fn identity(&self) -> PathBuf {
        self.path(IDENTITY)
    }

    /// The certificate of the authority for the provider's machines.
    pub fn authority(&self) -> PathBuf {
        self.path(AUTHORITY)
    }

    /// Writes settings and makes the key, where it is missing; returns what
    /// the control daemon's machine signs. Once joined, only settings change.
    pub fn init(&self, mut settings: Settings) -> anyhow::Result<Option<Request>> {
        use std::os::unix::fs::DirBuilderExt;
        anyhow::ensure!(is_host_name(&settings.name), "{} is no machine's name", settings.name);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        let before = self.settings().ok();
        if let Some(before) = &before {
            anyhow::ensure!(
                before.provider.is_empty() || before.name == settings.name,
                "this machine has joined as {}; to join as another, begin with an empty directory",
                before.name
            );
            settings.provider = before.provider.clone();
            // No flag says it; the file is the place for it.
            settings.workloads = before.workloads.clone();
        }
        store::write(&self.path(SETTINGS), toml::to_string_pretty(&settings)?.as_bytes())?;
        if !settings.provider.is_empty() {
            return Ok(None);
        }
        let identity = match self.identity().exists() {
            true => Identity::load(&self.identity())?,
            false => {
                let identity = tenant(&settings.name, REQUEST_DAYS)?;
                identity.save(&self.identity())?;
                identity
            }
        };
        Ok(Some(Request { name: settings.name, certificate: identity.certificates_pem() }))
    }

    /// Takes what the control daemon's machine made of the request.
    pub fn join(&self, joined: &Joined) -> anyhow::Result<()> {
        let mut settings = self.settings()?;
        anyhow::ensure!(
            settings.name == joined.name,
            "it is for the machine {}, and this is {}",
            joined.name,
            settings.name
        );
        let identity = Identity::load(&self.identity())?;
        let certificates = certificates_of_pem(&joined.certificate)?;
        let signed = certificates.first().context("it holds no certificate")?;
        let same = |der: &[u8]| stoa_client::tls::public_key(der);
        anyhow::ensure!(
            same(signed)? == same(identity.certificate())?,
            "it is for another key than this machine's; was `agent init` run again meanwhile?"
        );
        store::write(&self.authority(), joined.authority.as_bytes())?;
        identity.with_certificate(signed.clone()).save(&self.identity())?;
        settings.provider = joined.provider.clone();
        store::write(&self.path(SETTINGS), toml::to_string_pretty(&settings)?.as_bytes())?;
        Ok(())
    }

    pub fn settings(&self) -> anyhow::Result<Settings> {
        let path = self.path(SETTINGS);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{}; run `stoa-provider agent init` first", path.display()))?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }
}

impl Settings {
    /// For the engine on this machine.
    pub fn runtime(&self) -> anyhow::Result<RuntimeConfig> {
        let mut runtime = self.engine.runtime(&self.provider)?;
        self.workloads.validate()?;
        self.workloads.put_into(&mut runtime);
        Ok(runtime)
    }
}
