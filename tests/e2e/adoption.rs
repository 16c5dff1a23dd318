//! What runs goes on running, whoever restarts around it.

use std::collections::BTreeMap;

use anyhow::{ensure, Context, Result};
use stoa_localnet::engine;

use crate::world::{Deployed, World};

pub async fn restarted_daemons_and_nodes_leave_the_containers_running(world: World) -> Result<()> {
    let deployed = world.app().await?;
    let before = started(&world, deployed).await?;
    ensure!(before.len() == 6, "three workloads and their links: {before:?}");
    let network = world.network();
    for lease in &deployed.leases {
        let provider = world.provider_at(&lease.provider)?.name;
        network.restart(&provider, &[])?;
        network.wait_for_provider(&provider).await?;
        still(&world, deployed, &before, &format!("{provider} was restarted")).await?;
        network.kill(&provider)?;
        // Without its daemon a workload is reached as before.
        still(&world, deployed, &before, &format!("{provider} was killed")).await?;
        network.start_one(&provider, &[])?;
        network.wait_for_provider(&provider).await?;
        still(&world, deployed, &before, &format!("{provider} was started again")).await?;
    }
    for node in network.state().nodes {
        network.restart(&node.name, &[])?;
        still(&world, deployed, &before, &format!("{} was restarted", node.name)).await?;
        let height = world.chain().rpc().status().await?.latest_height;
        network.wait_for_height(height + 2, std::time::Duration::from_secs(30)).await?;
    }
    still(&world, deployed, &before, "all nodes were restarted").await
}

/// The containers of a deployment by id, and when each was started.
async fn started(world: &World, deployed: &Deployed) -> Result<BTreeMap<String, String>> {
    let docker = engine::connect().await?;
    let mut all = BTreeMap::new();
    for lease in &deployed.leases {
        for container in world.containers(lease).await? {
            let found = docker.inspect_container(&container.id, None).await?;
            let state = found.state.context("no state")?;
            ensure!(state.running == Some(true), "{} does not run: {state:?}", container.name);
            all.insert(container.id, format!("{:?}", state.started_at));
        }
    }
    Ok(all)
}

/// The same containers run, since the same moment, and answer.
async fn still(
    world: &World,
    deployed: &Deployed,
    before: &BTreeMap<String, String>,
    when: &str,
) -> Result<()> {
    let now = started(world, deployed).await?;
    ensure!(&now == before, "after {when}: {now:?}, before {before:?}");
    for service in ["web", "api"] {
        let answered = world.site(deployed, service)?.get("/").await;
        answered.with_context(|| format!("{service}, after {when}"))?;
    }
    println!("  the same containers run after {when}");
    Ok(())
}
