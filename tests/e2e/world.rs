//! What the scenarios share: one network, its tenants, a running application.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure, Context, Result};
use serde::Deserialize;
use serde_json::Value;
use stoa_client::{
    keys::{new_mnemonic, recover, Algorithm, SecretKey},
    tx::{any, TxOptions, TxResult},
    Chain,
};
use stoa_localnet::{
    demo::Site,
    engine::{self, Container},
    keys::{store, FAUCET},
    Client, Localnet, Options, Provider,
};
use stoa_proto::cosmos::{bank::v1beta1::MsgSend, base::v1beta1::Coin};
use tempfile::TempDir;
use tokio::sync::{Mutex, OnceCell};

/// What a new tenant gets: a thousand STOA.
const FUNDS: u128 = 1_000_000_000;

/// Seconds that a lease has to start in. Long, so that a daemon that is killed over and over on a
/// busy machine is not too late.
const START_DEADLINE: u64 = 600;

/// A network of four validators at 200 ms a block and three providers, with what runs on it.
#[derive(Clone)]
pub struct World(Arc<Shared>);

struct Shared {
    network: Localnet,
    chain: Chain,
    files: TempDir,
    app: OnceCell<Deployed>,
    /// One gift at a time: each is signed with the sequence after the last.
    giving: Mutex<()>,
}

/// An account with its `stoa`.
#[derive(Clone)]
pub struct Tenant {
    /// Its address.
    pub address: String,
    /// The key.
    pub key: SecretKey,
    /// The command line.
    pub client: Client,
}

/// What `stoa deploy -o json` and `stoa update -o json` print.
#[derive(Clone, Debug, Deserialize)]
pub struct Deployed {
    /// Its number.
    pub dseq: String,
    /// The manifest's SHA-256 in hex.
    pub version: String,
    /// One a group.
    pub leases: Vec<Leased>,
}

/// A group with its provider.
#[derive(Clone, Debug, Deserialize)]
pub struct Leased {
    /// The lease's id.
    pub lease: String,
    /// The provider's address.
    pub provider: String,
    /// The version that it serves.
    pub version: String,
    /// Its services.
    pub services: Vec<Service>,
}

/// A service as its provider tells of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Instances wanted.
    pub wanted: u32,
    /// Instances that are ready.
    pub ready: u32,
    /// Where it is reached.
    pub uris: Vec<ServiceUri>,
}

/// One address.
#[derive(Clone, Debug, Deserialize)]
pub struct ServiceUri {
    /// As a URL.
    pub uri: String,
}

impl World {
    /// Starts the network.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start(dir: &Path) -> Result<Self> {
        let mut options = Options::new(dir, 4, 3)?;
        options.block_time = Duration::from_millis(200);
        options.lease_start_deadline = Some(START_DEADLINE);
        // The third is where the published files want to be.
        for (key, value) in &mut options.providers[2].attributes {
            if key == "region" {
                *value = "us-east".to_owned();
            }
        }
        let network = Localnet::start(options).await?;
        let chain = network.chain().await?;
        let files = tempfile::tempdir()?;
        Ok(Self(Arc::new(Shared {
            network,
            chain,
            files,
            app: OnceCell::new(),
            giving: Mutex::new(()),
        })))
    }

    /// The network.
    pub fn network(&self) -> &Localnet {
        &self.0.network
    }

    /// A connection that any of its nodes answers.
    pub fn chain(&self) -> &Chain {
        &self.0.chain
    }

    /// A provider by its place.
    pub fn provider(&self, index: usize) -> Result<Provider> {
        self.network().state().providers.get(index).cloned().context("no such provider")
    }

    /// The provider with an address.
    pub fn provider_at(&self, address: &str) -> Result<Provider> {
        let mut all = self.network().state().providers.into_iter();
        all.find(|one| one.address == address).with_context(|| format!("no provider {address}"))
    }

    /// A new account with funds, and its command line.
    pub async fn new_tenant(&self, name: &str) -> Result<Tenant> {
        let key = recover(&new_mnemonic()?, "", Algorithm::Secp256k1)?;
        let keys = store(&self.network().state().keys.dir);
        let address = keys.add(name, &key)?.address;
        let faucet = self.network().key(FAUCET)?;
        let gift = MsgSend {
            from_address: faucet.address().to_string(),
            to_address: address.clone(),
            amount: vec![coin(FUNDS)],
        };
        {
            let _giving = self.0.giving.lock().await;
            self.execute(&faucet, &gift).await?;
        }
        let client = self.network().client(name)?;
        Ok(Tenant { address, key, client })
    }

    /// Sends one message and waits until it took effect.
    pub async fn execute<M: prost::Name>(&self, key: &SecretKey, message: &M) -> Result<()> {
        self.result(key, message).await.map(drop)
    }

    /// The same at every node, so that each provider's has it: all of them must run.
    pub async fn execute_everywhere<M: prost::Name>(
        &self,
        key: &SecretKey,
        message: &M,
    ) -> Result<()> {
        let height = self.result(key, message).await?.height;
        self.network().wait_for_height(height, Duration::from_secs(30)).await
    }

    async fn result<M: prost::Name>(&self, key: &SecretKey, message: &M) -> Result<TxResult> {
        let (messages, options) = (vec![any(message)], TxOptions::default());
        Ok(self.chain().execute(key, messages, &options, |_, _| Ok(())).await?)
    }

    /// A directory for a scenario's files.
    pub fn dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.0.files.path().join(name);
        std::fs::create_dir_all(&dir)?;
        Ok(dir)
    }

    /// The application that several scenarios look at; deployed by the first that asks.
    pub async fn app(&self) -> Result<&Deployed> {
        let deploy = || async {
            let tenant = self.new_tenant("shopkeeper").await?;
            tenant.deploy(&demo_file("app-v1.yaml")?).await
        };
        self.0.app.get_or_try_init(deploy).await
    }

    /// Where a service is reached.
    pub fn site(&self, deployed: &Deployed, service: &str) -> Result<Site> {
        for lease in &deployed.leases {
            let found = lease.services.iter().find(|one| one.name == service);
            if let Some(uri) = found.and_then(|one| one.uris.first()) {
                return Site::new(&uri.uri, &self.provider_at(&lease.provider)?.ingress);
            }
        }
        bail!("no lease has a service {service} with an address: {deployed:?}")
    }

    /// The containers of a lease, running or not.
    pub async fn containers(&self, lease: &Leased) -> Result<Vec<Container>> {
        self.containers_at(&lease.provider, &lease.lease).await
    }

    /// The containers that a provider has for a lease.
    pub async fn containers_at(&self, provider: &str, lease: &str) -> Result<Vec<Container>> {
        let docker = engine::connect().await?;
        let mut all = engine::containers(&docker, provider).await?;
        all.retain(|one| one.labels.get("stoa.lease").is_some_and(|id| id == lease));
        Ok(all)
    }

    /// What an account has, in ustoa.
    pub async fn balance(&self, address: &str) -> Result<u128> {
        let coins = self.chain().query().balances(address).await?;
        let found = coins.iter().find(|coin| coin.denom == "ustoa");
        Ok(found.map_or(Ok(0), |coin| coin.amount.parse())?)
    }
}

impl Tenant {
    /// Deploys a file and waits until it runs.
    pub async fn deploy(&self, file: &Path) -> Result<Deployed> {
        let file = file.display().to_string();
        deployed(self.client.json(&["deploy", &file]).await?)
    }

    /// Closes a deployment.
    pub async fn close(&self, deployed: &Deployed) -> Result<Value> {
        self.client.json(&["close", &deployed.dseq]).await
    }
}

/// What `stoa` printed of a deployment, if all of it is ready.
pub fn deployed(printed: Value) -> Result<Deployed> {
    let deployed: Deployed = serde_json::from_value(printed)?;
    for lease in &deployed.leases {
        ensure!(lease.version == deployed.version, "another version is served: {deployed:?}");
        for service in &lease.services {
            ensure!(service.ready == service.wanted, "{} is not ready: {deployed:?}", service.name);
        }
    }
    Ok(deployed)
}

/// ustoa.
pub fn coin(amount: u128) -> Coin {
    Coin { denom: "ustoa".to_owned(), amount: amount.to_string() }
}

/// A file of the demo, whose images have to be built.
pub fn demo_file(name: &str) -> Result<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../localnet/demo");
    let dir = dir.canonicalize().with_context(|| dir.display().to_string())?;
    let images = dir.join("images");
    ensure!(
        images.join("api.tar").exists(),
        "no images in {}: `make images` builds them",
        images.display()
    );
    Ok(dir.join(name))
}

/// Asks until the answer is yes.
pub async fn eventually<F, Fut>(what: &str, within: Duration, mut ask: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: std::future::Future<Output = Result<bool>>,
{
    let deadline = Instant::now() + within;
    loop {
        let last = match ask().await {
            Ok(true) => return Ok(()),
            Ok(false) => String::new(),
            Err(error) => format!(": {error:#}"),
        };
        ensure!(Instant::now() < deadline, "not within {} s: {what}{last}", within.as_secs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
