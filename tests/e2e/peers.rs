//! Manifests and images from provider to provider.

use std::time::Duration;

use anyhow::{ensure, Context, Result};
use stoa_client::{ids::TextId, query::LeaseFilter};
use stoa_proto::{
    market::v1::{Lease, LeaseState},
    types::v1::BidId,
};

use crate::world::{demo_file, eventually, World};

/// For an order to be matched anew, and the workload to run elsewhere.
const MOVES: Duration = Duration::from_secs(90);

pub async fn a_replacement_gets_everything_from_its_peers_while_the_tenant_is_away(
    world: World,
) -> Result<()> {
    let tenant = world.new_tenant("traveller").await?;
    let deployed = tenant.deploy(&demo_file("app-v1.yaml")?).await?;
    let api = deployed.leases.iter().find(|lease| lease.services.iter().any(|s| s.name == "api"));
    let api = api.context("no lease has the API")?;
    // From here on the tenant sends nothing to any provider.
    let close = ["tx", "close-lease", &api.lease, "--reopen", "--exclude"];
    tenant.client.text(&close).await?;
    let query = world.chain().query();
    let filter = LeaseFilter {
        owner: tenant.address.clone(),
        dseq: deployed.dseq.parse()?,
        live: true,
        ..LeaseFilter::default()
    };
    let left = BidId::parse(&api.lease)?;
    let replaced = |lease: &Lease| {
        let id = lease.id.as_ref();
        id.is_some_and(|id| id.gseq == left.gseq && id.provider != left.provider)
    };
    eventually("another provider runs the API with what its peers had", MOVES, || async {
        let leases = query.leases(&filter).await?;
        let moved = leases.iter().find(|lease| replaced(lease));
        Ok(moved.is_some_and(|lease| lease.state() == LeaseState::Active))
    })
    .await?;
    let status = tenant.client.json(&["status", &deployed.dseq]).await?.to_string();
    ensure!(status.contains("\"sources\""), "it does not say from whom: {status}");
    let web = world.site(&deployed, "web")?;
    eventually("the web tier reaches the API at its new place", MOVES, || async {
        Ok(web.get_once("/cgi-bin/visits").await?.contains("\"service\":\"api\""))
    })
    .await?;
    tenant.close(&deployed).await?;
    Ok(())
}
