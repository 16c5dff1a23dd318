//! What a tenant does with its running instances: commands, ports, files,
//! restarts, events.

pub mod copy;
pub mod events;
pub mod forward;
pub mod restart;
pub mod shell;
mod terminal;

use stoa_client::{
    gateway::{self, error_of, tenant_client},
    query::LeaseFilter,
    Error,
};
use stoa_proto::{
    gateway::v1::{
        gateway_client::GatewayClient, tenant_client::TenantClient, InstanceId, LeaseStatusRequest,
    },
    types::v1::{BidId, DeploymentId},
};
use tonic::transport::Channel;

use crate::{
    context::Context,
    deploy::Tenant,
    exit::{Code, Failure},
};

/// An instance, and the way to it.
pub struct Target {
    pub client: TenantClient<Channel>,
    pub lease: BidId,
    /// Its service's name.
    pub service: String,
    pub index: u32,
}

impl Target {
    pub fn id(&self) -> InstanceId {
        InstanceId {
            lease: Some(self.lease.clone()),
            service: self.service.clone(),
            index: self.index,
        }
    }

    /// `web/0`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.service, self.index)
    }
}

/// A live lease at a provider that answers.
struct Reached {
    lease: BidId,
    channel: Channel,
    services: Vec<String>,
}

/// The deployment's live leases.
pub async fn live_leases(tenant: &Tenant, id: &DeploymentId) -> Result<Vec<BidId>, Failure> {
    let filter = LeaseFilter {
        owner: id.owner.clone(),
        dseq: id.dseq,
        live: true,
        ..LeaseFilter::default()
    };
    let leases = tenant.chain.query().leases(&filter).await?;
    let leases: Vec<BidId> = leases.into_iter().filter_map(|lease| lease.id).collect();
    if leases.is_empty() {
        return Err(Failure::with(
            Code::NotFound,
            format!(
                "deployment {} has no live lease; `stoa status {}` shows why",
                id.dseq, id.dseq
            ),
        ));
    }
    Ok(leases)
}

/// Finds which lease runs a service. `service` is `NAME`, `NAME/INDEX`, or
/// empty where there is one alone.
pub async fn find(context: &Context, id: &str, service: &str) -> Result<Target, Failure> {
    let (name, index) = split(service)?;
    let tenant = Tenant::open(context).await?;
    let leases = live_leases(&tenant, &context.deployment_id(id)?).await?;
    let identity = tenant.identity().await?;
    let mut reached: Vec<Reached> = vec![];
    let mut failed: Option<Failure> = None;
    for lease in leases {
        match reach(&tenant, &identity, lease).await {
            Ok(found) => reached.push(found),
            Err(error) => failed = Some(error.into()),
        }
    }
    let (lease, channel, service) = choose(reached, &name, failed)?;
    Ok(Target { client: tenant_client(channel), lease, service, index })
}

async fn reach(
    tenant: &Tenant,
    identity: &stoa_client::tls::Identity,
    lease: BidId,
) -> Result<Reached, Error> {
    let record = tenant.chain.query().provider(&lease.provider).await?.provider.unwrap_or_default();
    let channel = gateway::channel(&record, Some(identity)).await?;
    let request = LeaseStatusRequest { lease: Some(lease.clone()) };
    let status = GatewayClient::new(channel.clone()).lease_status(request).await;
    let status = status.map_err(|s| error_of(&s))?.into_inner();
    let services = status.services.into_iter().map(|service| service.name).collect();
    Ok(Reached { lease, channel, services })
}

fn choose(
    reached: Vec<Reached>,
    name: &str,
    failed: Option<Failure>,
) -> Result<(BidId, Channel, String), Failure> {
    let all: Vec<String> = reached.iter().flat_map(|one| one.services.clone()).collect();
    let wanted = match (name, all.as_slice()) {
        ("", [only]) if failed.is_none() => only.clone(),
        ("", _) => {
            let names = if all.is_empty() { "none runs yet".into() } else { all.join(", ") };
            return Err(Failure::usage(format!("name a service: {names}")));
        }
        (name, _) => name.to_owned(),
    };
    let found = reached.into_iter().find(|one| one.services.contains(&wanted));
    match (found, failed) {
        (Some(found), _) => Ok((found.lease, found.channel, wanted)),
        (None, Some(failure)) => Err(failure),
        (None, None) => Err(Failure::with(
            Code::NotFound,
            format!("no service `{wanted}` runs; there are: {}", all.join(", ")),
        )),
    }
}

/// `web` or `web/1`.
fn split(service: &str) -> Result<(String, u32), Failure> {
    match service.split_once('/') {
        None => Ok((service.to_owned(), 0)),
        Some((name, index)) => {
            let index = index.parse().map_err(|_| {
                Failure::usage(format!("`{service}` is no instance: right is NAME or NAME/INDEX"))
            })?;
            Ok((name.to_owned(), index))
        }
    }
}

/// A stream that broke off, in words with the next step.
pub fn broken(status: &tonic::Status) -> Failure {
    error_of(status).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_a_service_with_or_without_an_index() {
        assert_eq!(split("web").unwrap(), ("web".into(), 0));
        assert_eq!(split("web/2").unwrap(), ("web".into(), 2));
        assert_eq!(split("").unwrap(), (String::new(), 0));
        assert_eq!(split("web/x").unwrap_err().code, Code::Usage);
    }

    #[tokio::test]
    async fn the_lease_that_runs_the_service_is_taken() {
        let reached = |gseq, services: &[&str]| Reached {
            lease: BidId { gseq, ..BidId::default() },
            channel: tonic::transport::Endpoint::from_static("http://x").connect_lazy(),
            services: services.iter().map(|s| (*s).to_owned()).collect(),
        };
        let gone = || Some(Failure::with(Code::Unreachable, "gone"));
        let two = || vec![reached(1, &["web"]), reached(2, &["db", "api"])];
        assert_eq!(choose(two(), "api", None).unwrap().0.gseq, 2);
        assert_eq!(choose(two(), "api", gone()).unwrap().0.gseq, 2);
        assert_eq!(choose(two(), "x", None).unwrap_err().code, Code::NotFound);
        assert_eq!(choose(two(), "x", gone()).unwrap_err().code, Code::Unreachable);
        assert!(choose(two(), "", None).unwrap_err().message.contains("web, db, api"));
        assert_eq!(choose(vec![reached(1, &["web"])], "", None).unwrap().2, "web");
    }
}
