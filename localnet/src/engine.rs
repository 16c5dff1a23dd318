//! What providers leave in the Docker engine, taken away when their network goes.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use anyhow::{Context, Result};
use bollard::{
    query_parameters::{
        ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder,
        ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder,
        RemoveVolumeOptionsBuilder,
    },
    Docker,
};

/// The label that says whose an object is; its value is the provider's account.
const PROVIDER_LABEL: &str = "stoa.provider";

/// The label that says what an object is: `workload`, `link` and others.
const ROLE_LABEL: &str = "stoa.role";

/// How long taking everything away may take.
const DEADLINE: Duration = Duration::from_secs(90);

/// How often what is still in use is tried again.
const ATTEMPTS: u32 = 5;

/// A container, as tests look at it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Container {
    /// The engine's id.
    pub id: String,
    /// Whose it is.
    pub provider: String,
    /// What it is.
    pub role: String,
    /// Its name.
    pub name: String,
    /// Such as `running`.
    pub state: String,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
}

/// Connects to the engine.
///
/// # Errors
/// If none answers.
pub async fn connect() -> Result<Docker> {
    let docker = Docker::connect_with_defaults().context("the Docker engine")?;
    docker.negotiate_version().await.context("the Docker engine does not answer")
}

/// The containers of a provider, running or not.
///
/// # Errors
/// If the engine does not say.
pub async fn containers(docker: &Docker, provider: &str) -> Result<Vec<Container>> {
    let filter = filter(provider);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
    let found = docker.list_containers(Some(options)).await?;
    let mut all: Vec<Container> = found
        .into_iter()
        .map(|found| {
            let labels: BTreeMap<_, _> = found.labels.unwrap_or_default().into_iter().collect();
            let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
            Container {
                id: found.id.unwrap_or_default(),
                provider: label(PROVIDER_LABEL),
                role: label(ROLE_LABEL),
                name: found.names.unwrap_or_default().concat(),
                state: found.state.map(|state| state.to_string()).unwrap_or_default(),
                labels,
            }
        })
        .collect();
    all.sort();
    Ok(all)
}

/// Takes away all that providers have in the engine: containers, networks, volumes, images.
///
/// # Errors
/// What could not be taken away; the rest is.
pub async fn remove_all(providers: &[String]) -> Result<()> {
    if providers.is_empty() {
        return Ok(());
    }
    let work = async {
        let docker = connect().await?;
        for provider in providers {
            remove_of(&docker, provider).await.with_context(|| format!("objects of {provider}"))?;
        }
        Ok(())
    };
    tokio::time::timeout(DEADLINE, work).await.context("the Docker engine takes too long")?
}

/// Takes away the host's rule that providers install, where no provider's
/// network is left on the machine.
pub fn remove_guard() {
    let is_ours = |name: &str| {
        name.strip_prefix("st").is_some_and(|rest| {
            rest.len() == 12 && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let Ok(interfaces) = std::fs::read_dir("/sys/class/net") else { return };
    let mut names = interfaces.flatten().map(|entry| entry.file_name());
    if names.any(|name| name.to_str().is_some_and(is_ours)) {
        return;
    }
    // Without nft there was no rule, and without the rule there is nothing to do.
    let _ = std::process::Command::new("nft")
        .args(["delete", "table", "inet", "stoa_guard"])
        .stderr(std::process::Stdio::null())
        .status();
}

async fn remove_of(docker: &Docker, provider: &str) -> Result<()> {
    let mut last = Ok(());
    for _ in 0..ATTEMPTS {
        last = remove_once(docker, provider).await;
        if last.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    last
}

async fn remove_once(docker: &Docker, provider: &str) -> Result<()> {
    let own = containers(docker, provider).await?;
    let removals = own.iter().map(|container| {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        docker.remove_container(&container.id, Some(options))
    });
    for result in futures::future::join_all(removals).await {
        gone(result)?;
    }
    let filter = filter(provider);
    let options = ListNetworksOptionsBuilder::default().filters(&filter).build();
    for network in docker.list_networks(Some(options)).await? {
        gone(docker.remove_network(&network.id.unwrap_or_default()).await)?;
    }
    let options = ListVolumesOptionsBuilder::default().filters(&filter).build();
    for volume in docker.list_volumes(Some(options)).await?.volumes.unwrap_or_default() {
        let options = RemoveVolumeOptionsBuilder::default().force(true).build();
        gone(docker.remove_volume(&volume.name, Some(options)).await)?;
    }
    remove_images(docker, provider).await
}

/// The images that a provider loaded carry its own names.
async fn remove_images(docker: &Docker, provider: &str) -> Result<()> {
    let prefix = image_prefix(provider);
    let filter = HashMap::from([("reference".to_owned(), vec![format!("{prefix}*")])]);
    let options = ListImagesOptionsBuilder::default().all(true).filters(&filter).build();
    for image in docker.list_images(Some(options)).await? {
        for tag in image.repo_tags.iter().filter(|tag| tag.starts_with(&prefix)) {
            let options = RemoveImageOptionsBuilder::default().force(true).build();
            gone(docker.remove_image(tag, Some(options), None).await.map(drop))?;
        }
    }
    Ok(())
}

fn filter(provider: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{PROVIDER_LABEL}={provider}")])])
}

/// Removing what is gone already is done.
fn gone(result: Result<(), bollard::errors::Error>) -> Result<()> {
    use bollard::errors::Error::DockerResponseServerError;
    match result {
        Err(DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        other => Ok(other?),
    }
}

/// What the names of a provider's images begin with: a reserved host that no registry can have,
/// and a short hash of the provider's account, as its daemon writes them.
fn image_prefix(provider: &str) -> String {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    hasher.update((provider.len() as u64).to_be_bytes());
    hasher.update(provider.as_bytes());
    let short: String =
        hasher.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("stoa.invalid/{short}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_names_are_those_that_the_daemon_gives() {
        assert_eq!(image_prefix("stoa1alpha"), "stoa.invalid/c25b7e41/");
    }
}
