//! `stoa update`: a running deployment to a new version of its file.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use stoa_client::{
    convert::{check_group, group_to_proto},
    query::{DeploymentView, LeaseFilter},
    tx::{any, TxOptions},
};
use stoa_manifest::Options;
use stoa_proto::{
    deployment::v1::{DeploymentState, MsgUpdateDeployment},
    types::v1::DeploymentId,
};

use crate::{
    context::Context,
    deploy::{
        deliver::{self, Delivery},
        report,
        state::{Stage, State},
        Tenant,
    },
    exit::{Code, Failure},
    manifest::{self, Mappings, SdlFile},
    out,
};

/// Arguments of `stoa update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// OWNER/DSEQ, or DSEQ of one's own
    pub id: String,
    /// The SDL file in its new version
    pub file: PathBuf,
    /// Seconds that providers have to serve it
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub timeout: u64,
    #[command(flatten)]
    pub mappings: Mappings,
}

/// Runs it. Running it again after a break is safe: what is done is skipped.
pub async fn run(context: &Context, args: UpdateArgs) -> Result<(), Failure> {
    let id = context.deployment_id(&args.id)?;
    let tenant = Tenant::open(context).await?;
    let options =
        Options { address_prefix: Some(stoa_client::address::PREFIX.into()), ..Options::default() };
    let sdl = manifest::read(&args.file, &args.mappings, options, context.is_json())?;
    let view = tenant.chain.query().deployment(&id).await?;
    let active = view.deployment.as_ref().is_some_and(|d| d.state() == DeploymentState::Active);
    if !active {
        return Err(Failure::new(format!("deployment {} is closed; deploy it anew", id.dseq)));
    }
    check_groups(&view, &sdl, &id)?;
    // What is missing is said before the version is named on chain.
    crate::secret::values_of(context, &sdl.parsed.manifest)?;
    let state = keep(&tenant, &id, &args.file, &sdl)?;
    name_version(&tenant, &view, &sdl, &id).await?;
    let filter = LeaseFilter {
        owner: id.owner.clone(),
        dseq: id.dseq,
        live: true,
        ..LeaseFilter::default()
    };
    let leases = tenant.chain.query().leases(&filter).await?;
    if leases.is_empty() {
        return Err(Failure::with(
            Code::Unmatched,
            "the new version is on chain, and no group has a live lease to serve it",
        ));
    }
    let manifest = sdl.parsed.manifest.canonical_json();
    let delivery =
        Delivery::new(&tenant, id, state.version.clone(), manifest, state.blobs.clone())?;
    let timeout = Duration::from_secs(args.timeout);
    let served = deliver::to_all(&tenant, &delivery, &leases, timeout).await?;
    report::print(&tenant, &state, &served, &[]).await
}

/// The groups of a running deployment stay as they are: refuses with what
/// differs and what would be right.
fn check_groups(view: &DeploymentView, sdl: &SdlFile, id: &DeploymentId) -> Result<(), Failure> {
    let dseq = id.dseq;
    let mut found = vec![];
    let mut advice = format!(
        "groups are fixed while a deployment runs: `stoa deploy FILE --new` posts the file \
         beside it, and `stoa close {dseq}` then ends this one"
    );
    let specs: Vec<_> = view.groups.iter().filter_map(|g| g.spec.as_ref()).collect();
    for group in &sdl.parsed.manifest.groups {
        match specs.iter().find(|s| s.name == group.name) {
            Some(spec) => found.extend(check_group(group, spec).err().unwrap_or_default()),
            None => {
                found.push(format!("group {}: the deployment has none of this name", group.name));
                advice = format!(
                    "`stoa tx add-groups {dseq} FILE` adds the file's new groups, where its \
                     others are unchanged; when they are matched, `stoa update {dseq} FILE` \
                     delivers"
                );
            }
        }
    }
    for spec in specs {
        if sdl.parsed.manifest.group(&spec.name).is_none() {
            found.push(format!("group {}: the file has none of this name", spec.name));
        }
    }
    warn_of_prices(view, sdl)?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the file's groups are not those of deployment {dseq}:\n  {}\n{advice}",
        found.join("\n  ")
    )))
}

/// Prices and requirements bind only when an order opens.
fn warn_of_prices(view: &DeploymentView, sdl: &SdlFile) -> Result<(), Failure> {
    for group in &sdl.parsed.groups {
        let new = group_to_proto(group)?;
        let old = view.groups.iter().filter_map(|g| g.spec.as_ref()).find(|s| s.name == new.name);
        if old.is_some_and(|old| {
            (&old.requirements, old.duration, old.reclamation)
                != (&new.requirements, new.duration, new.reclamation)
                || old
                    .resources
                    .iter()
                    .map(|r| &r.max_rate)
                    .ne(new.resources.iter().map(|r| &r.max_rate))
        }) {
            out::note(&format!(
                "note: group {}: prices and requirements in the file differ from those on \
                 chain and do not change by an update",
                new.name
            ));
        }
    }
    Ok(())
}

/// Writes down what is about to be named on chain.
fn keep(
    tenant: &Tenant,
    id: &DeploymentId,
    file: &std::path::Path,
    sdl: &SdlFile,
) -> Result<State, Failure> {
    let store = tenant.store();
    let version = hex::encode(sdl.parsed.manifest.version());
    let full = |p: &std::path::Path| {
        std::fs::canonicalize(p).map_err(|e| Failure::new(format!("{}: {e}", p.display())))
    };
    let mut state = match store.read(id)? {
        Some(state) => state,
        None => State::new(tenant.chain.chain_id(), id, full(file)?, version.clone()),
    };
    state.version = version;
    state.stage = Stage::Running;
    state.intent = None;
    state.blobs = sdl.blobs.clone();
    for path in state.blobs.values_mut() {
        *path = full(path)?;
    }
    store.write_manifest(&state, &sdl.parsed.manifest.canonical_json())?;
    store.write(&state)?;
    Ok(state)
}

/// Names the version on chain, unless it is that already.
async fn name_version(
    tenant: &Tenant,
    view: &DeploymentView,
    sdl: &SdlFile,
    id: &DeploymentId,
) -> Result<(), Failure> {
    let version = sdl.parsed.manifest.version().to_vec();
    if view.deployment.as_ref().is_some_and(|d| d.version == version) {
        out::step("the chain names this version already");
        return Ok(());
    }
    let message = MsgUpdateDeployment {
        owner: id.owner.clone(),
        dseq: id.dseq,
        version,
        manifest_root: sdl.parsed.manifest.root().as_bytes().to_vec(),
    };
    let key = tenant.signer()?;
    let options = TxOptions::default();
    let result = tenant.chain.execute(&key, vec![any(&message)], &options, |_, _| Ok(())).await?;
    tenant.context.tell_tx("new version named on chain", &result);
    Ok(())
}
