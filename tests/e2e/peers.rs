//! Manifests, images, data and secrets from provider to provider.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{ensure, Context, Result};
use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures::TryStreamExt;
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
/// Its volume there, and what the volume begins with here.
const MOUNT: &str = "          mount: /data\n";
const WELCOME: &str = "welcome to the new place";

pub async fn a_replacement_gets_everything_from_its_peers_while_the_tenant_is_away(
    world: World,
) -> Result<()> {
    let tenant = world.new_tenant("traveller").await?;
    let deployed = tenant.deploy(&with_secret_and_data(&world, &tenant).await?).await?;
    let api = deployed.leases.iter().find(|lease| lease.services.iter().any(|s| s.name == "api"));
    let api = api.context("no lease has the API")?;
    ensure_equipped(&world, &api.provider, &api.lease).await?;
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
    ensure_equipped(&world, &moved.provider, &moved.text()).await?;
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

/// The demo's file, whose API has a password that the file only names and a volume that begins with
/// a folder's files.
async fn with_secret_and_data(world: &World, tenant: &Tenant) -> Result<PathBuf> {
    let dir = world.dir("traveller")?;
    let value = dir.join("password.txt");
    fs::write(&value, format!("{PASSWORD}\n"))?;
    let value = value.display().to_string();
    tenant.client.text(&["secret", "set", "api-password", "--from-file", &value]).await?;
    fs::create_dir_all(dir.join("seed"))?;
    fs::write(dir.join("seed/welcome.txt"), WELCOME)?;
    let demo = demo_file("app-v1.yaml")?;
    let images = demo.parent().context("the demo has a folder")?.join("images");
    let mut text = fs::read_to_string(&demo)?;
    for (place, more) in [
        (API, "    env: [\"PASSWORD=secret://api-password\"]\n"),
        (MOUNT, "          data: ./seed\n"),
    ] {
        ensure!(text.contains(place), "the demo's file is without {place:?}");
        text = text.replace(place, &format!("{place}{more}"));
    }
    let text = text.replace("./images/", &format!("{}/", images.display()));
    let file = dir.join("app.yaml");
    fs::write(&file, text)?;
    Ok(file)
}

/// The API's instance of a lease has the password in its environment and the file in its volume, as
/// the provider's engine tells it: nobody asks as the tenant.
async fn ensure_equipped(world: &World, provider: &str, lease: &str) -> Result<()> {
    let docker = engine::connect().await?;
    let containers = world.containers_at(provider, lease).await?;
    let api = containers.iter().find(|container| {
        let service = container.labels.get("stoa.service").map(String::as_str);
        container.role == "workload" && service == Some("api")
    });
    let api = api.with_context(|| format!("{provider} runs no API"))?;
    let found = docker.inspect_container(&api.id, None).await?;
    let environment = found.config.and_then(|config| config.env).unwrap_or_default();
    let knows = environment.contains(&format!("PASSWORD={PASSWORD}"));
    ensure!(knows, "the secret did not reach provider {provider}");
    let path = DownloadFromContainerOptionsBuilder::default().path("/data/welcome.txt").build();
    let archive: Vec<_> = docker.download_from_container(&api.id, Some(path)).try_collect().await?;
    let archive = archive.concat();
    let welcomes = archive.windows(WELCOME.len()).any(|part| part == WELCOME.as_bytes());
    ensure!(welcomes, "the volume's data did not reach provider {provider}");
    Ok(())
}
