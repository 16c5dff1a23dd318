//! Tenants that deploy, update, close and look, each one thing at a time.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{bail, ensure, Context, Result};
use rand::{rngs::StdRng, Rng, SeedableRng};
use serde::Deserialize;
use stoa_client::{
    keys::{new_mnemonic, recover, Algorithm},
    query::LeaseFilter,
    tx::{any, TxOptions},
    Chain,
};
use stoa_proto::cosmos::{bank::v1beta1::MsgSend, base::v1beta1::Coin};
use tokio::{sync::watch, task::JoinSet};

use super::{tally::Tally, SoakOptions};
use crate::{
    client::Client,
    demo::Site,
    keys::{store, FAUCET},
    Localnet, State,
};

/// Deploying takes turns within a tenant: one account, one sequence.
const MOST_TENANTS: usize = 10;
const FUNDS: u128 = 100_000_000_000;
/// A command under fire may wait for nodes and daemons to come back.
const COMMAND: Duration = Duration::from_secs(240);
/// Between a tenant's actions, in milliseconds.
const PAUSE: std::ops::Range<u64> = 2_000..8_000;

/// All of them.
pub(super) struct Tenants {
    all: Vec<Tenant>,
}

/// One.
struct Tenant {
    address: String,
    client: Client,
    dir: PathBuf,
    image: PathBuf,
    state: State,
    tally: Arc<Tally>,
    deployed: Vec<Deployment>,
    files: u32,
}

/// A deployment whose command succeeded.
struct Deployment {
    dseq: String,
    site: Site,
    has_volume: bool,
}

/// Traffic under way.
pub(super) struct Traffic(JoinSet<Tenant>);

#[derive(Deserialize)]
struct Printed {
    dseq: String,
    leases: Vec<Leased>,
}

#[derive(Deserialize)]
struct Leased {
    provider: String,
    services: Vec<Service>,
}

#[derive(Deserialize)]
struct Service {
    uris: Vec<Uri>,
}

#[derive(Deserialize)]
struct Uri {
    uri: String,
}

impl Tenants {
    pub(super) async fn make(
        options: &SoakOptions,
        network: &Localnet,
        chain: &Chain,
        tally: Arc<Tally>,
    ) -> Result<Self> {
        let state = network.state();
        let keys = store(&state.keys.dir);
        let faucet = network.key(FAUCET)?;
        let (mut all, mut gifts) = (Vec::new(), Vec::new());
        for number in 0..options.leases.clamp(1, MOST_TENANTS) {
            let name = format!("soak{number}");
            let key = recover(&new_mnemonic()?, "", Algorithm::Secp256k1)?;
            let address = keys.add(&name, &key)?.address;
            gifts.push(any(&MsgSend {
                from_address: faucet.address().to_string(),
                to_address: address.clone(),
                amount: vec![Coin { denom: "ustoa".into(), amount: FUNDS.to_string() }],
            }));
            let dir = network.dir().join("clients").join(format!("files-{name}"));
            crate::state::private_dir(&dir)?;
            all.push(Tenant {
                address,
                client: network.client(&name)?,
                dir,
                image: options.image.clone(),
                state: state.clone(),
                tally: Arc::clone(&tally),
                deployed: Vec::new(),
                files: 0,
            });
        }
        let options = TxOptions::default();
        let sent = chain.execute(&faucet, gifts, &options, |_, _| Ok(()));
        sent.await.context("funding the tenants")?;
        Ok(Self { all })
    }

    /// All whose money moves, providers included.
    pub(super) fn accounts(&self, state: &State) -> Vec<String> {
        let tenants = self.all.iter().map(|tenant| tenant.address.clone());
        tenants.chain(state.providers.iter().map(|provider| provider.address.clone())).collect()
    }

    /// So many in all, before anything is killed: every one must succeed.
    pub(super) async fn deploy_all(&mut self, count: usize) -> Result<()> {
        let tenants = self.all.len();
        let deploying = self.all.iter_mut().enumerate().map(|(number, tenant)| async move {
            for one in (number..count).step_by(tenants) {
                tenant.deploy(one % 4 == 0).await?;
            }
            Ok::<(), anyhow::Error>(())
        });
        futures::future::try_join_all(deploying).await.map(drop)
    }

    /// Everybody acts until told to stop.
    pub(super) fn begin_traffic(self, seed: u64, stopped: &watch::Receiver<bool>) -> Traffic {
        let mut tasks = JoinSet::new();
        for (number, mut tenant) in self.all.into_iter().enumerate() {
            let random = StdRng::seed_from_u64(seed.wrapping_add(number as u64 + 1));
            let stopped = stopped.clone();
            tasks.spawn(async move {
                tenant.act(random, stopped).await;
                tenant
            });
        }
        Traffic(tasks)
    }

    /// Deployments whose command broke off are closed: whether they serve, nobody waited for.
    pub(super) async fn close_uncertain(&self, chain: &Chain) -> Result<()> {
        for tenant in &self.all {
            let filter =
                LeaseFilter { owner: tenant.address.clone(), live: true, ..LeaseFilter::default() };
            let mut closed = std::collections::BTreeSet::new();
            for lease in chain.query().leases(&filter).await? {
                let dseq = lease.id.as_ref().map(|id| id.dseq.to_string()).unwrap_or_default();
                let known = tenant.deployed.iter().any(|one| one.dseq == dseq);
                if !known && closed.insert(dseq.clone()) {
                    tenant.tally.add("deployments closed as uncertain");
                    tenant.command(&["close", &dseq]).await?;
                }
            }
        }
        Ok(())
    }

    /// Each deployment's site, by its owner and number.
    pub(super) fn sites(&self) -> impl Iterator<Item = (String, &Site)> {
        self.all.iter().flat_map(|tenant| {
            let of = |one: &Deployment| format!("{}/{}", tenant.address, one.dseq);
            tenant.deployed.iter().map(move |one| (of(one), &one.site))
        })
    }

    pub(super) async fn close_all(&mut self) -> Result<()> {
        let closing = self.all.iter_mut().map(|tenant| async move {
            while let Some(one) = tenant.deployed.pop() {
                tenant.command(&["close", &one.dseq]).await?;
            }
            Ok::<(), anyhow::Error>(())
        });
        futures::future::try_join_all(closing).await.map(drop)
    }
}

impl Traffic {
    /// Waits until everybody has finished what they were at.
    pub(super) async fn end(mut self) -> Result<Tenants> {
        let mut all = Vec::new();
        while let Some(tenant) = self.0.join_next().await {
            all.push(tenant.context("a tenant broke off")?);
        }
        Ok(Tenants { all })
    }
}

impl Tenant {
    /// Failures are counted: under fire commands may fail, what must hold is checked at the end.
    async fn act(&mut self, mut random: StdRng, mut stopped: watch::Receiver<bool>) {
        loop {
            let pause = Duration::from_millis(random.gen_range(PAUSE));
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(pause) => {}
            }
            let which = random.gen_range(0..self.deployed.len().max(1));
            let (what, outcome) = match random.gen_range(0..10) {
                0..=5 => ("looks", self.look(which).await),
                6..=7 => ("updates", self.update(which).await),
                _ => ("closings with a new deployment", self.replace(which).await),
            };
            match outcome {
                Ok(()) => self.tally.add(what),
                Err(error) => {
                    self.tally.add(&format!("{what} that failed under fire"));
                    eprintln!("{}: {what}: {error:#}", self.address);
                }
            }
        }
    }

    async fn look(&self, which: usize) -> Result<()> {
        let Some(one) = self.deployed.get(which) else { return Ok(()) };
        one.site.get_once("/").await.map(drop)
    }

    async fn update(&mut self, which: usize) -> Result<()> {
        let Some((dseq, has_volume)) =
            self.deployed.get(which).map(|one| (one.dseq.clone(), one.has_volume))
        else {
            return Ok(());
        };
        let file = self.file(has_volume)?;
        self.command(&["update", &dseq, &file]).await.map(drop)
    }

    async fn replace(&mut self, which: usize) -> Result<()> {
        if which < self.deployed.len() {
            let one = self.deployed.swap_remove(which);
            // One that does not go now is found on the chain in the end.
            self.command(&["close", &one.dseq]).await?;
        }
        self.deploy(which.is_multiple_of(4)).await
    }

    async fn deploy(&mut self, has_volume: bool) -> Result<()> {
        let file = self.file(has_volume)?;
        let printed: Printed = serde_json::from_value(self.command(&["deploy", &file]).await?)?;
        let lease = printed.leases.first().context("a deployment without a lease")?;
        let uri = lease.services.iter().flat_map(|service| &service.uris).next();
        let uri = &uri.context("a lease without an address")?.uri;
        let providers = &self.state.providers;
        let provider = providers.iter().find(|one| one.address == lease.provider);
        let site = Site::new(uri, &provider.context("a strange provider")?.ingress)?;
        self.deployed.push(Deployment { dseq: printed.dseq, site, has_volume });
        self.tally.add("deployments");
        Ok(())
    }

    async fn command(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        match tokio::time::timeout(COMMAND, self.client.json(arguments)).await {
            Ok(printed) => printed,
            Err(_) => bail!("`stoa {}` took over {} s", arguments.join(" "), COMMAND.as_secs()),
        }
    }

    /// A new version of the page's file.
    fn file(&mut self, has_volume: bool) -> Result<String> {
        self.files += 1;
        let path = self.dir.join(format!("page-{}.yaml", self.files));
        std::fs::write(&path, sdl(&self.image, self.files, has_volume))?;
        let path = path.to_str().context("a path that is not UTF-8")?;
        ensure!(!path.is_empty(), "no path");
        Ok(path.to_owned())
    }
}

fn sdl(image: &Path, version: u32, has_volume: bool) -> String {
    let (mount, volume) = match has_volume {
        true => (
            "\n    params: {storage: {data: {mount: /data}}}",
            "\n          - {name: data, size: 8Mi, attributes: {persistent: true}}",
        ),
        false => ("", ""),
    };
    format!(
        r#"version: "2.0"
services:
  web:
    image: {image}
    env: ["SOAK={version}"]{mount}
    expose: [{{port: 8080, as: 80, to: [{{global: true}}]}}]
profiles:
  compute:
    web:
      resources:
        cpu: {{units: 10m}}
        memory: {{size: 32Mi}}
        storage:
          - size: 32Mi{volume}
  placement:
    here: {{pricing: {{web: {{denom: ustoa, amount: 100}}}}}}
deployment:
  web: {{here: {{profile: web, count: 1}}}}
market: {{bid_window: 5s}}
"#,
        image = image.display(),
    )
}
