//! What a provider's gateway refuses: wrong manifests, and callers that the chain does not know.

use std::time::Duration;

use anyhow::{bail, ensure, Context, Result};
use stoa_client::{
    convert::group_to_proto,
    gateway::connect,
    ids::TextId,
    query::LeaseFilter,
    tls::{self, Identity},
};
use stoa_manifest::{parse, Options, Parsed};
use stoa_proto::{
    cert::v1::MsgCreateCertificate,
    deployment::v1::{MsgCloseDeployment, MsgCreateDeployment},
    gateway::v1::{gateway_client::GatewayClient, LeaseStatusRequest, SubmitManifestRequest},
    market::v1::Lease,
    types::v1::DeploymentId,
};
use tonic::{transport::Channel, Code, Status};

use crate::world::{coin, eventually, Tenant, World};

/// A deployment with one registry image; the provider never gets to fetch it.
const SDL: &str = r#"
version: "2.0"
services:
  web:
    image: registry.invalid/nothing:1
    expose: [{port: 8080, as: 80, to: [{global: true}]}]
profiles:
  compute:
    web: {resources: {cpu: {units: 100m}, memory: {size: 64Mi}, storage: {size: 64Mi}}}
  placement:
    here:
      attributes: {region: us-east}
      pricing: {web: {denom: ustoa, amount: 100}}
deployment:
  web: {here: {profile: web, count: 1}}
"#;

pub async fn manifests_and_callers_that_the_chain_does_not_know_are_refused(
    world: World,
) -> Result<()> {
    let tenant = world.new_tenant("careless").await?;
    let identity = registered(&world, &tenant).await?;
    let honest = read(SDL)?;
    // On the chain the group of one file stands beside the version of another.
    let other = read(&SDL.replace("100m", "200m"))?;
    let id = post(&world, &tenant, &honest, &other).await?;
    let lease = lease_of(&world, &id).await?;
    let case = Case { world: &world, lease: &lease, id: &id };

    let mut own = case.gateway(Some(&identity)).await?;
    let wrong = case.submit(&mut own, honest.manifest.canonical_json()).await;
    refused("a manifest of another version", wrong, Code::FailedPrecondition, "version")?;
    let wrong = case.submit(&mut own, other.manifest.canonical_json()).await;
    refused("a manifest of other groups", wrong, Code::FailedPrecondition, "cpu")?;
    let wrong = case.submit(&mut own, b"[{\"name\":".to_vec()).await;
    refused("half a manifest", wrong, Code::InvalidArgument, "")?;

    let mut nobody = case.gateway(None).await?;
    let wrong = case.submit(&mut nobody, other.manifest.canonical_json()).await;
    refused("no certificate", wrong, Code::Unauthenticated, "certificate")?;
    let unknown = tls::tenant(&tenant.address, 1)?;
    let mut unknown = case.gateway(Some(&unknown)).await?;
    let wrong = case.submit(&mut unknown, other.manifest.canonical_json()).await;
    refused("a certificate that is not on chain", wrong, Code::Unauthenticated, "not valid")?;
    let stranger = world.new_tenant("stranger").await?;
    let stranger = registered(&world, &stranger).await?;
    let mut stranger = case.gateway(Some(&stranger)).await?;
    let wrong = case.submit(&mut stranger, other.manifest.canonical_json()).await;
    refused("another tenant", wrong, Code::PermissionDenied, "")?;
    let wrong = stranger.lease_status(LeaseStatusRequest { lease: lease.id.clone() }).await;
    refused("another tenant's question", wrong.map(drop), Code::PermissionDenied, "")?;

    case.nothing_changed(&mut own).await?;
    let close = MsgCloseDeployment { owner: id.owner.clone(), dseq: id.dseq };
    world.execute(&tenant.key, &close).await
}

struct Case<'a> {
    world: &'a World,
    lease: &'a Lease,
    id: &'a DeploymentId,
}

impl Case<'_> {
    async fn gateway(&self, identity: Option<&Identity>) -> Result<GatewayClient<Channel>> {
        let lease = self.lease.id.as_ref().context("no lease id")?;
        let provider = self.world.chain().query().provider(&lease.provider).await?;
        Ok(connect(&provider.provider.context("no provider")?, identity).await?)
    }

    async fn submit(
        &self,
        gateway: &mut GatewayClient<Channel>,
        manifest: Vec<u8>,
    ) -> Result<(), Status> {
        let deployment = Some(self.id.clone());
        gateway.submit_manifest(SubmitManifestRequest { deployment, manifest }).await.map(drop)
    }

    /// The lease still waits for its manifest, and nothing runs for it.
    async fn nothing_changed(&self, own: &mut GatewayClient<Channel>) -> Result<()> {
        let request = LeaseStatusRequest { lease: self.lease.id.clone() };
        let status = own.lease_status(request).await?.into_inner();
        ensure!(
            status.version.is_empty() && status.services.iter().all(|one| one.ready == 0),
            "something was taken: {status:?}"
        );
        let id = self.lease.id.as_ref().context("no lease id")?;
        let containers = self.world.containers_at(&id.provider, &id.text()).await?;
        ensure!(containers.is_empty(), "something runs: {containers:?}");
        let lease = self.world.chain().query().lease(id).await?;
        ensure!(lease.state() == self.lease.state(), "the lease changed: {lease:?}");
        Ok(())
    }
}

/// A tenant's certificate that is on the chain.
async fn registered(world: &World, tenant: &Tenant) -> Result<Identity> {
    let identity = tls::tenant(&tenant.address, 30)?;
    let der = identity.certificate().to_vec();
    let message = MsgCreateCertificate { owner: tenant.address.clone(), der };
    world.execute_everywhere(&tenant.key, &message).await?;
    Ok(identity)
}

fn read(text: &str) -> Result<Parsed> {
    parse(text, &Options::default()).map_err(|errors| anyhow::anyhow!("{errors:?}"))
}

/// Posts the groups of one file with the version of another.
async fn post(
    world: &World,
    tenant: &Tenant,
    groups: &Parsed,
    version: &Parsed,
) -> Result<DeploymentId> {
    let dseq = world.chain().rpc().status().await?.latest_height;
    let id = DeploymentId { owner: tenant.address.clone(), dseq };
    let message = MsgCreateDeployment {
        owner: id.owner.clone(),
        dseq,
        groups: groups.groups.iter().map(group_to_proto).collect::<Result<_, _>>()?,
        version: version.manifest.version().to_vec(),
        manifest_root: version.manifest.root().as_bytes().to_vec(),
        deposit: Some(coin(10_000_000)),
        bid_window: 15,
        ..MsgCreateDeployment::default()
    };
    world.execute(&tenant.key, &message).await?;
    Ok(id)
}

async fn lease_of(world: &World, id: &DeploymentId) -> Result<Lease> {
    let filter = LeaseFilter { owner: id.owner.clone(), dseq: id.dseq, ..LeaseFilter::default() };
    eventually("a lease", Duration::from_secs(60), || async {
        Ok(!world.chain().query().leases(&filter).await?.is_empty())
    })
    .await?;
    let leases = world.chain().query().leases(&filter).await?;
    leases.into_iter().next().context("no lease")
}

/// Whether a call was refused so, in words that say what was wrong.
fn refused(what: &str, outcome: Result<(), Status>, code: Code, word: &str) -> Result<()> {
    let Err(status) = outcome else { bail!("{what} was taken") };
    println!("  {what:<36} {:?}: {}", status.code(), status.message());
    ensure!(
        status.code() == code && status.message().contains(word) && !status.message().is_empty(),
        "{what}: {status:?}"
    );
    Ok(())
}
