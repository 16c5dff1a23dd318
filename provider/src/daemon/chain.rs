//! The chain: a node, waited for, that knows this provider by its root.

use anyhow::Context as _;
use stoa_client::queue::Recovered;
use stoa_client::tls::{self, Identity};
use stoa_client::{Chain, Error};

use super::RETRY;
use crate::chain::ChainReads;
use crate::config::Config;

pub(super) fn load_root(config: &Config, provider: &str) -> anyhow::Result<Identity> {
    let path = config.root_path();
    let root = Identity::load(&path).context("run `stoa-provider init` first")?;
    let name = tls::common_name(root.certificate())?;
    anyhow::ensure!(
        name == provider,
        "{} is a root of {name}, but the key {} is of {provider}",
        path.display(),
        config.key.name
    );
    Ok(root)
}

/// Waits for a node that is being started.
pub(super) async fn connect_chain(config: &Config) -> anyhow::Result<Chain> {
    loop {
        match Chain::connect(&config.client()).await {
            Ok(chain) => return Ok(chain),
            Err(error) if error.is_transient() => {
                tracing::warn!("{error}; again in {} s", RETRY.as_secs());
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Without its record nobody would accept its bids, and with another root
/// nobody its gateway.
pub(super) async fn check_registered(
    reads: &dyn ChainReads,
    root: &Identity,
) -> anyhow::Result<()> {
    loop {
        let answer = match reads.provider().await {
            Ok(answer) => answer,
            Err(Error::NotFound(_)) => {
                tracing::warn!("this provider is not on chain yet; run `stoa-provider init`");
                tokio::time::sleep(RETRY).await;
                continue;
            }
            Err(error) if error.is_transient() => {
                tracing::warn!("{error}; again in {} s", RETRY.as_secs());
                tokio::time::sleep(RETRY).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let record = answer.provider.unwrap_or_default();
        let own = root.certificate();
        anyhow::ensure!(
            record.root_certificate == own || record.earlier_root == own,
            "the root certificate on chain is another than this data directory's; run \
             `stoa-provider init` to put this one there"
        );
        return Ok(());
    }
}

pub(super) fn tell_recovered(recovered: Option<&Recovered>) {
    let Some(recovered) = recovered else { return };
    let labels = recovered.labels.join(", ");
    let hash = &recovered.hash;
    match &recovered.outcome {
        None => tracing::info!(%hash, "the last run's {labels}: never landed"),
        Some(Ok(height)) => tracing::info!(%hash, height, "the last run's {labels}: landed"),
        Some(Err(refusal)) => tracing::info!(%hash, "the last run's {labels}: {refusal}"),
    }
}
