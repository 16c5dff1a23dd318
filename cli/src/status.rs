//! `stoa status`: a deployment on the chain and at its providers.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use stoa_client::{
    gateway::{error_of, phase_words},
    ids::TextId,
    query::LeaseFilter,
};
use stoa_proto::{
    gateway::v1::{LeaseStatusRequest, LeaseStatusResponse},
    market::v1::{Lease, LeaseState},
};

use crate::{
    context::Context,
    deploy::{resolve, Tenant},
    exit::Failure,
    gateway::connect,
    json, out,
    query::tables,
    text,
};

/// A provider that does not answer so long is shown as silent.
const PATIENCE: Duration = Duration::from_secs(8);

/// Arguments of `stoa status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// OWNER/DSEQ, or DSEQ of one's own
    pub id: String,
    /// Only what the chain says
    #[arg(long)]
    pub chain_only: bool,
}

/// Runs it.
pub async fn run(context: &Context, args: StatusArgs) -> Result<(), Failure> {
    let id = context.deployment_id(&args.id)?;
    let tenant = Tenant::open(context).await?;
    let query = tenant.chain.query();
    let view = query.deployment(&id).await?;
    let escrow = query.escrow(&id).await?;
    let filter = LeaseFilter { owner: id.owner.clone(), dseq: id.dseq, ..LeaseFilter::default() };
    let leases = query.leases(&filter).await?;
    let mut at_providers = vec![];
    for lease in leases.iter().filter(|l| l.state() != LeaseState::Closed) {
        let said = match args.chain_only {
            true => None,
            false => Some(ask(&tenant, lease).await.map_err(|e| e.to_string())),
        };
        at_providers.push((lease, said));
    }
    if context.is_json() {
        let services: Vec<_> = at_providers
            .iter()
            .map(|(lease, said)| {
                let id = lease.id.as_ref().map(TextId::text);
                match said {
                    None => Ok(json!({ "lease": id })),
                    Some(Ok(status)) => Ok(json!({ "lease": id, "status": json::of(status)? })),
                    Some(Err(error)) => Ok(json!({ "lease": id, "error": error })),
                }
            })
            .collect::<Result<_, Failure>>()?;
        return out::print_json(&json!({
            "deployment": json::of(&view)?,
            "escrow": json::of(&escrow)?,
            "leases": json::list(&leases)?,
            "providers": services,
        }));
    }
    crate::query::print_deployment(&view);
    let account = escrow.account.unwrap_or_default();
    let lasts = match account.exhausts_at {
        0 => String::new(),
        at => format!(", lasts {} more", text::seconds(at.saturating_sub(text::now()))),
    };
    out::print_lines(&format!(
        "escrow      {}{lasts}\n",
        text::dec_coin(escrow.balance_now.as_ref(), 6)
    ));
    if let Some(words) = tables::used_up(&account, text::now()) {
        out::print_lines(&format!("{words}\n"));
    }
    out::print_table(&tables::leases(&leases));
    for (lease, said) in &at_providers {
        print_lease(lease, said.as_ref()).await;
    }
    Ok(())
}

async fn ask(tenant: &Tenant, lease: &Lease) -> Result<LeaseStatusResponse, Failure> {
    let id = lease.id.clone().unwrap_or_default();
    let asked = async {
        let identity = tenant.identity().await?;
        let (mut gateway, _) = connect(&tenant.chain, &id.provider, &identity).await?;
        let request = LeaseStatusRequest { lease: Some(id.clone()) };
        let status = gateway.lease_status(request).await.map_err(|s| error_of(&s))?;
        Ok::<_, Failure>(status.into_inner())
    };
    tokio::time::timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(|_| Err(Failure::new("the provider does not answer")))
}

async fn print_lease(lease: &Lease, said: Option<&Result<LeaseStatusResponse, String>>) {
    let id = lease.id.clone().unwrap_or_default();
    let status = match said {
        None => return,
        Some(Err(error)) => {
            out::print_lines(&format!("\ngroup {} at {}: {error}", id.gseq, id.provider));
            return;
        }
        Some(Ok(status)) => status,
    };
    let message = match status.message.as_str() {
        "" => String::new(),
        text => format!(": {text}"),
    };
    let version = status.version.get(..12).unwrap_or(&status.version);
    out::print_lines(&format!(
        "\ngroup {} at {}: {}{message} (version {version}…)",
        id.gseq,
        id.provider,
        phase_words(status.phase())
    ));
    for payload in &status.payloads {
        out::print_lines(&format!("  {}", text::payload(payload)));
    }
    for service in &status.services {
        out::print_lines(&format!("  {} {}/{}", service.name, service.ready, service.wanted));
        for uri in &service.uris {
            out::print_lines(&format!("    {uri}  → {}", resolve::words(uri).await));
        }
        for name in &service.names {
            let standing = if name.served { "served" } else { "not served" };
            let words = match name.message.as_str() {
                "" => String::new(),
                words => format!(": {words}"),
            };
            out::print_lines(&format!("    {}  {standing}{words}", name.name));
        }
        for port in &service.ports {
            out::print_lines(&format!("    {}", text::forwarded(port)));
        }
        for instance in &service.instances {
            out::print_lines(&format!(
                "    #{} {}, started {}, {} restarts {}",
                instance.index,
                instance.state,
                text::when(instance.started_at, text::now()),
                instance.restarts,
                instance.message
            ));
        }
    }
}
