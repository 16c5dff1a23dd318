//! A file that was published for another network, deployed as it is.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{bail, ensure, Context, Result};
use stoa_localnet::keys::AUDITOR;

use crate::{
    images,
    world::{deployed, eventually, World},
};

/// The file below the folder of published ones.
const FILE: &str = "input/v2.0/multiple-services/input.yaml";

/// Its images, and the ports on which it wants them to listen.
const IMAGES: [(&str, &str, u16); 3] =
    [("nginx:latest", "web", 80), ("node:18", "api", 3000), ("postgres:14", "db", 5432)];

/// Its auditors, whose part the development auditor takes.
const SIGNERS: [&str; 2] = [
    "akash1365yvmc4s7awdyj3n2sav7xfx76adc6dnmlx63",
    "akash18qa2a2ltfyvkyj0ggj3hkvuj6twzyumuaru9s4",
];

/// Instances of its three services.
const INSTANCES: usize = 6;

pub async fn a_published_sdl_file_deploys_with_only_its_images_signers_and_denom_mapped(
    world: World,
) -> Result<()> {
    let Some(source) = source()? else { return Ok(()) };
    let dir = world.dir("published")?;
    let file = with_own_images(&source, &dir)?;
    let tenant = world.new_tenant("publisher").await?;
    let state = world.network().state();
    let auditor = state.key(AUDITOR).context("no auditor")?;
    let signers = SIGNERS.map(|from| format!("{from}={}", auditor.address));
    let file = file.display().to_string();
    let printed = tenant
        .client
        .json(&[
            "deploy",
            &file,
            "--signer",
            &signers[0],
            "--signer",
            &signers[1],
            "--denom",
            "uakt=ustoa@10",
        ])
        .await?;
    let deployed = deployed(printed)?;
    let lease = deployed.leases.first().context("no lease")?;
    let provider = world.provider_at(&lease.provider)?;
    ensure!(
        provider.attributes.contains(&("region".to_owned(), "us-east".to_owned())),
        "matched with {provider:?}"
    );
    let containers = world.containers(lease).await?;
    let running = containers.iter().filter(|one| one.role == "workload" && one.state == "running");
    ensure!(running.count() == INSTANCES, "{INSTANCES} instances wanted: {containers:?}");
    let page = world.site(&deployed, "web")?.get("/").await?;
    ensure!(page.contains("Stoa demo shop"), "{page}");
    tenant.close(&deployed).await?;
    eventually("its containers are gone", Duration::from_secs(60), || async {
        Ok(world.containers(lease).await?.is_empty())
    })
    .await
}

/// The published file, if the folder is there. Where checks run it has to be.
fn source() -> Result<Option<PathBuf>> {
    let is_ci = env::var("CI").is_ok_and(|ci| ci == "true");
    let Some(named) = env::var_os("SDL_FIXTURES") else {
        if is_ci {
            bail!("SDL_FIXTURES names no folder");
        }
        println!("  skipped: SDL_FIXTURES does not name the folder of published files");
        return Ok(None);
    };
    // A relative one is meant from the workspace.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(named).join(FILE);
    ensure!(path.is_file(), "{} is not there", path.display());
    Ok(Some(path))
}

/// The file with images that listen on the same ports, and nothing else changed.
fn with_own_images(source: &Path, dir: &Path) -> Result<PathBuf> {
    let mut text = fs::read_to_string(source).with_context(|| source.display().to_string())?;
    for (image, name, port) in IMAGES {
        let (old, new) = (format!("image: {image}\n"), format!("image: ./{name}.tar\n"));
        ensure!(text.matches(&old).count() == 1, "the file has no {image}");
        text = text.replace(&old, &new);
        images::listening_on(port, &dir.join(format!("{name}.tar")))?;
    }
    let file = dir.join("input.yaml");
    fs::write(&file, text)?;
    Ok(file)
}
