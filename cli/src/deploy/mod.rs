//! `stoa deploy`: one verb from file to URL.
//!
//! Each step leaves enough on disk ([`state`]) that a run which breaks off is
//! taken up by the next one, without a second escrow.

pub mod book;
pub mod deliver;
#[cfg(test)]
mod mock;
mod plan;
mod post;
pub mod progress;
pub mod report;
pub mod resolve;
mod sealed;
pub mod state;
mod story;
pub mod upload;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use stoa_client::{keys::SecretKey, query::LeaseFilter, tls::Identity, Chain};
use stoa_proto::cosmos::base::v1beta1::Coin;

use crate::{
    certificate,
    context::Context,
    exit::{Code, Failure},
    manifest::Mappings,
    out,
};
use book::GroupEnd;
use deliver::Delivery;
use state::{Stage, State, Store};

/// Arguments of `stoa deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// An SDL file; images and data named ./x are taken from beside it and shipped
    #[arg(required_unless_present = "resume")]
    pub file: Option<PathBuf>,
    /// What goes into escrow [default: a day at the maximum rates, at least what the chain asks]
    #[arg(long, value_parser = coin)]
    pub deposit: Option<Coin>,
    /// Only say what it would cost; nothing is sent
    #[arg(long)]
    pub dry_run: bool,
    /// Go on with a deployment that broke off
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "dry_run", "new"])]
    pub resume: Option<String>,
    /// Post a new deployment even where one of this file is unfinished
    #[arg(long)]
    pub new: bool,
    /// Seconds that providers have to bring it up
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub timeout: u64,
    #[command(flatten)]
    pub mappings: Mappings,
}

fn coin(text: &str) -> Result<Coin, String> {
    stoa_client::money::parse_coin(text).map_err(|e| e.to_string())
}

/// Who deploys, and over what.
pub struct Tenant {
    pub context: Context,
    pub chain: Chain,
    pub owner: String,
}

impl Tenant {
    /// Connects; the key stays closed.
    pub async fn open(context: &Context) -> Result<Self, Failure> {
        let owner = context.address()?;
        Ok(Self { context: context.clone(), chain: context.chain().await?, owner })
    }

    pub fn store(&self) -> Store {
        Store::new(&self.context.config.home, self.chain.chain_id())
    }

    pub fn signer(&self) -> Result<SecretKey, Failure> {
        self.context.signer()
    }

    /// The certificate that providers will know the tenant by.
    pub async fn identity(&self) -> Result<Identity, Failure> {
        let (query, id) = (self.chain.query(), self.chain.chain_id());
        certificate::open(&self.context, query, id, &self.owner).await
    }
}

/// Runs it.
pub async fn run(context: &Context, args: DeployArgs) -> Result<(), Failure> {
    let tenant = Tenant::open(context).await?;
    let state = match (&args.resume, &args.file) {
        (Some(id), _) => resumed(&tenant, id).await?,
        (None, Some(file)) => match from_file(&tenant, file, &args).await? {
            Some(state) => state,
            None => return Ok(()),
        },
        (None, None) => return Err(Failure::usage("name a file, or --resume ID")),
    };
    go_on(&tenant, state, Duration::from_secs(args.timeout)).await
}

/// The named one, once it is certain that it is on chain.
async fn resumed(tenant: &Tenant, id: &str) -> Result<State, Failure> {
    let id = tenant.context.deployment_id(id)?;
    let store = tenant.store();
    let state = store.read(&id)?.ok_or_else(|| {
        Failure::with(
            Code::NotFound,
            format!(
                "nothing is kept here of deployment {}/{}: it was posted from elsewhere; \
                 `stoa update {}/{} FILE` sends its manifest from here",
                id.owner, id.dseq, id.owner, id.dseq
            ),
        )
    })?;
    post::settle(tenant, &store, state).await?.ok_or_else(|| {
        Failure::with(
            Code::NotFound,
            "its transaction never reached the chain; nothing is in escrow. Deploy the file anew",
        )
    })
}

/// Takes up an unfinished run of the file, or posts it. None: it was a dry run.
async fn from_file(
    tenant: &Tenant,
    file: &std::path::Path,
    args: &DeployArgs,
) -> Result<Option<State>, Failure> {
    let plan = plan::make(tenant, file, &args.mappings, args.deposit.clone()).await?;
    if args.dry_run {
        plan::print_dry_run(tenant, &plan).await?;
        return Ok(None);
    }
    let store = tenant.store();
    if !args.new {
        if let Some(state) = post::unfinished(tenant, &store, &plan).await? {
            return Ok(Some(state));
        }
    }
    // What is missing is said before anything is paid for.
    crate::secret::values_of(&tenant.context, &plan.sdl.parsed.manifest)?;
    plan::tell(&plan);
    post::tell_running(tenant, &store, &plan).await?;
    post::post(tenant, &store, &plan).await.map(Some)
}

/// From "it is on chain" to "it runs".
async fn go_on(tenant: &Tenant, mut state: State, timeout: Duration) -> Result<(), Failure> {
    let store = tenant.store();
    let ends = book::wait(&tenant.chain, &state.id()).await?;
    let leases = ends.iter().filter_map(GroupEnd::lease).cloned().collect::<Vec<_>>();
    let unmatched: Vec<&GroupEnd> = ends.iter().filter(|e| e.lease().is_none()).collect();
    for end in &unmatched {
        story::tell(&tenant.chain, &state.id(), end).await;
    }
    if leases.is_empty() {
        report::print(tenant, &state, &[], &unmatched).await?;
        return Err(Failure::silent(Code::Unmatched));
    }
    let delivery = Delivery::new(
        tenant,
        state.id(),
        state.version.clone(),
        store.manifest(&state)?,
        state.blobs.clone(),
    )?;
    let served = deliver::to_all(tenant, &delivery, &leases, timeout).await;
    let served = served.inspect_err(|_| hint_resume(&state))?;
    if unmatched.is_empty() {
        state.stage = Stage::Running;
        store.write(&state)?;
    }
    report::print(tenant, &state, &served, &unmatched).await?;
    if unmatched.is_empty() {
        return Ok(());
    }
    Err(Failure::silent(Code::Unmatched))
}

fn hint_resume(state: &State) {
    out::note(&format!(
        "The deployment stays as it is; go on with: stoa deploy --resume {}",
        state.dseq
    ));
}

/// Gives the secrets that are kept here to the providers of a deployment whose
/// version they serve already.
pub async fn send_secrets(context: &Context, args: crate::secret::SendArgs) -> Result<(), Failure> {
    let tenant = Tenant::open(context).await?;
    let state = resumed(&tenant, &args.id).await?;
    let filter = LeaseFilter {
        owner: state.owner.clone(),
        dseq: state.dseq,
        live: true,
        ..LeaseFilter::default()
    };
    let leases = tenant.chain.query().leases(&filter).await?;
    if leases.is_empty() {
        return Err(Failure::with(Code::Unmatched, "no group has a live lease"));
    }
    let manifest = tenant.store().manifest(&state)?;
    let (version, blobs) = (state.version.clone(), state.blobs.clone());
    let delivery = Delivery::new(&tenant, state.id(), version, manifest, blobs)?;
    let served =
        deliver::to_all(&tenant, &delivery, &leases, Duration::from_secs(args.timeout)).await?;
    report::print(&tenant, &state, &served, &[]).await
}
