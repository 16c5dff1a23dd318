//! Manifests, images and secrets from provider to provider.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{ensure, Context, Result};
use stoa_client::{ids::TextId, query::LeaseFilter};
use stoa_localnet::engine;
use stoa_proto::{
    market::v1::{Lease, LeaseState},
    types::v1::BidId,
};

use crate::world::{demo_file, eventually, Tenant, World};

/// For an order to be matched anew, and the workload to run elsewhere.
const MOVES: Duration = Duration::from_secs(90);

/// How the API's service begins in the demo's file.
const API: &str = "  api:\n    image: ./images/api.tar\n";
const PASSWORD: &str = "correct horse battery staple";

pub async fn a_replacement_gets_everything_from_its_peers_while_the_tenant_is_away(
    world: World,
) -> Result<()> {
    let tenant = world.new_tenant("traveller").await?;
    let deployed = tenant.deploy(&with_secret(&world, &tenant).await?).await?;
    let api = deployed.leases.iter().find(|lease| lease.services.iter().any(|s| s.name == "api"));
    let api = api.context("no lease has the API")?;
    ensure!(knows_password(&world, &api.provider, &api.lease).await?, "not even the first one");
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
    let leases = query.leases(&filter).await?;
    let moved = leases.into_iter().find(|lease| replaced(lease)).and_then(|lease| lease.id);
    let moved = moved.context("the lease that was there a moment ago")?;
    let knows = knows_password(&world, &moved.provider, &moved.text()).await?;
    ensure!(knows, "the secret did not reach provider {}", moved.provider);
    let status = tenant.client.json(&["status", &deployed.dseq]).await?.to_string();
    ensure!(status.contains("\"sources\""), "it does not say from whom: {status}");
    ensure!(!status.contains(PASSWORD), "the status tells a secret");
    let web = world.site(&deployed, "web")?;
    eventually("the web tier reaches the API at its new place", MOVES, || async {
        Ok(web.get_once("/cgi-bin/visits").await?.contains("\"service\":\"api\""))
    })
    .await?;
    tenant.close(&deployed).await?;
    Ok(())
}

/// The demo's file, whose API has a password that the file only names.
async fn with_secret(world: &World, tenant: &Tenant) -> Result<PathBuf> {
    let dir = world.dir("traveller")?;
    let value = dir.join("password.txt");
    fs::write(&value, format!("{PASSWORD}\n"))?;
    let value = value.display().to_string();
    tenant.client.text(&["secret", "set", "api-password", "--from-file", &value]).await?;
    let demo = demo_file("app-v1.yaml")?;
    let images = demo.parent().context("the demo has a folder")?.join("images");
    let env = "    env: [\"PASSWORD=secret://api-password\"]\n";
    let text = fs::read_to_string(&demo)?;
    ensure!(text.contains(API), "the API's service begins otherwise than {API:?}");
    let text = text.replace(API, &format!("{API}{env}"));
    let text = text.replace("./images/", &format!("{}/", images.display()));
    let file = dir.join("app.yaml");
    fs::write(&file, text)?;
    Ok(file)
}

/// Whether the API's instance of a lease has the password in its environment, as the provider's
/// engine tells it: nobody asks as the tenant.
async fn knows_password(world: &World, provider: &str, lease: &str) -> Result<bool> {
    let docker = engine::connect().await?;
    let wanted = format!("PASSWORD={PASSWORD}");
    for container in world.containers_at(provider, lease).await? {
        let service = container.labels.get("stoa.service").map(String::as_str);
        if container.role != "workload" || service != Some("api") {
            continue;
        }
        let found = docker.inspect_container(&container.id, None).await?;
        let environment = found.config.and_then(|config| config.env).unwrap_or_default();
        return Ok(environment.contains(&wanted));
    }
    Ok(false)
}
