//! The engines: this machine's, waited for, and those of the roster.

use std::sync::Arc;

use super::RETRY;
use crate::config::Config;
use crate::fleet::{Fleet, FleetParts, Planes, RemoteBackend};
use crate::hosts::{self, Authority};
use crate::runtime::DockerBackend;

/// Waits for an engine that is being started.
pub(super) async fn connect_engine(
    config: &Config,
    provider: &str,
) -> anyhow::Result<DockerBackend> {
    loop {
        match DockerBackend::connect(config.runtime(provider)?).await {
            Ok(backend) => {
                // So that what is reported is how it will be.
                let _ = backend.mind_egress().await;
                report_checks(&backend).await;
                return Ok(backend);
            }
            Err(error) if error.is_unknown() => {
                tracing::warn!("{error}; again in {} s", RETRY.as_secs());
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// This machine and those of the roster as one runtime.
pub(super) fn open_fleet(
    config: &Arc<Config>,
    provider: &str,
    engine: Arc<DockerBackend>,
    planes: Arc<Planes>,
) -> anyhow::Result<Arc<Fleet>> {
    let authority = Authority::open(&hosts::directory(&config.data_dir), provider)?;
    let certificate = authority.certificate_path();
    let (control, front) = (authority.issue_control()?, authority.issue_front()?);
    let (of, signer) = (provider.to_string(), certificate.clone());
    let connect = move |name: &str, entry: &hosts::HostEntry| {
        let remote = RemoteBackend::new(name, &of, entry, &control, &signer)?;
        Ok(Arc::new(remote) as Arc<dyn crate::fleet::HostEngine>)
    };
    Fleet::open(FleetParts {
        config: Arc::clone(config),
        local: engine,
        connect: Box::new(connect),
        front: (front, certificate),
        planes,
    })
}

/// Says what the machine lacks.
async fn report_checks(backend: &DockerBackend) {
    use crate::runtime::{Backend as _, Verdict};
    match backend.checks().await {
        Ok(checks) => {
            for check in checks {
                match check.verdict {
                    Verdict::Good => tracing::info!("{}: {}", check.name, check.words),
                    Verdict::Warning => tracing::warn!("{}: {}", check.name, check.words),
                }
            }
        }
        Err(error) => tracing::warn!("the machine could not be checked: {error}"),
    }
}
