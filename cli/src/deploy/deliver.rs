//! To each leased provider: the manifest, the images that it lacks, and then
//! waiting until it serves them. The same for a first deployment, a resumed
//! one and an update.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use futures::{future::join_all, StreamExt};
use stoa_client::{gateway::error_of, tls::Identity, Error};
use stoa_proto::{
    gateway::v1::{LeasePhase, LeaseStatusRequest, LeaseStatusResponse, SubmitManifestRequest},
    market::v1::{Lease, LeaseState},
    provider::v1::Provider,
    types::v1::{BidId, DeploymentId},
};
use tokio::time::Instant;

use super::{progress::Board, Tenant};
use crate::{
    deploy::upload,
    exit::{Code, Failure},
    gateway::{connect, Gateway},
    query::tables,
};

/// Between attempts at a provider.
const RETRY: Duration = Duration::from_secs(2);
/// Between looks at the chain while a provider works.
const CHAIN_LOOK: Duration = Duration::from_secs(5);
/// A provider may lag behind the chain so long before its "unknown lease" or
/// "unknown certificate" is taken at its word.
const GRACE: Duration = Duration::from_secs(60);

/// What is brought to the providers.
pub struct Delivery {
    pub id: DeploymentId,
    /// Hex.
    pub version: String,
    /// Canonical bytes.
    pub manifest: Vec<u8>,
    /// Files to be shipped, by BLAKE3 root.
    pub blobs: BTreeMap<String, PathBuf>,
}

/// A lease that serves the version.
pub struct Served {
    pub lease: Lease,
    pub group: String,
    pub provider: Provider,
    pub status: LeaseStatusResponse,
}

/// How waiting for a provider ends.
enum End {
    /// It serves the version.
    Serving(LeaseStatusResponse),
    /// It tried the version and went back to the one before; why.
    Undone(String),
}

/// One lease's way.
struct Way<'a> {
    tenant: &'a Tenant,
    delivery: &'a Delivery,
    identity: &'a Identity,
    board: &'a Board,
    group: String,
    lease: BidId,
}

/// Delivers to all leases at once and waits until each serves the version.
///
/// # Errors
/// The first lease that could not be brought up, after all are decided.
pub async fn to_all(
    tenant: &Tenant,
    delivery: &Delivery,
    leases: &[Lease],
    timeout: Duration,
) -> Result<Vec<Served>, Failure> {
    let identity = tenant.identity().await?;
    let view = tenant.chain.query().deployment(&delivery.id).await?;
    let board = Board::new();
    let deadline = Instant::now() + timeout;
    let ways = leases.iter().filter_map(|lease| {
        let id = lease.id.clone()?;
        let group = view.groups.iter().find(|g| g.id.as_ref().is_some_and(|g| g.gseq == id.gseq));
        let group = group.and_then(|g| g.spec.as_ref()).map(|s| s.name.clone());
        let way = Way {
            tenant,
            delivery,
            identity: &identity,
            board: &board,
            group: group.unwrap_or_default(),
            lease: id,
        };
        Some(async move { way.go(lease, deadline).await })
    });
    let mut served = vec![];
    let mut failure = None;
    for result in join_all(ways).await {
        match result {
            Ok(one) => served.push(one),
            Err(e) => {
                if failure.is_some() {
                    crate::out::note(&format!("error: {e}"));
                }
                failure.get_or_insert(e);
            }
        }
    }
    failure.map_or(Ok(served), Err)
}

impl Way<'_> {
    /// Tries again over broken connections, restarts of the provider, and its
    /// lagging behind the chain, until the deadline.
    async fn go(&self, lease: &Lease, deadline: Instant) -> Result<Served, Failure> {
        let begun = Instant::now();
        loop {
            let attempt = tokio::time::timeout_at(deadline, self.attempt()).await;
            let error = match attempt {
                Ok(Ok((_, End::Undone(why)))) => {
                    return Err(self.named(Failure::with(Code::Refused, why)))
                }
                Ok(Ok((provider, End::Serving(status)))) => {
                    self.board.done(&self.group, &running(&status));
                    let (lease, group) = (lease.clone(), self.group.clone());
                    return Ok(Served { lease, group, provider, status });
                }
                Ok(Err(error)) => error,
                Err(_) => Error::Timeout("it did not come up in time".into()),
            };
            self.still_leased().await?;
            let again = is_worth_repeating(&error, begun.elapsed());
            if !again || Instant::now() + RETRY >= deadline {
                return Err(self.named(error.into()));
            }
            self.board.say(&self.group, &format!("{error}; trying again"));
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Says whose failure it is.
    fn named(&self, mut failure: Failure) -> Failure {
        let (group, provider) = (&self.group, &self.lease.provider);
        failure.message = format!("group {group} at provider {provider}: {}", failure.message);
        failure
    }

    async fn attempt(&self) -> Result<(Provider, End), Error> {
        self.board.say(&self.group, &format!("connecting to provider {}", self.lease.provider));
        let chain = &self.tenant.chain;
        let (mut gateway, provider) = connect(chain, &self.lease.provider, self.identity).await?;
        self.board.say(&self.group, "sending the manifest");
        let request = SubmitManifestRequest {
            deployment: Some(self.delivery.id.clone()),
            manifest: self.delivery.manifest.clone(),
        };
        let answer = gateway.submit_manifest(request).await.map_err(|s| error_of(&s))?;
        for blob in answer.into_inner().missing_blobs {
            let path = self.delivery.blobs.get(&blob.blob).ok_or_else(|| {
                Error::Invalid(format!(
                    "the provider asks for image {}, which is not in the file",
                    blob.blob
                ))
            })?;
            let told = |sent, size| self.board.upload(&self.group, &blob.blob, sent, size);
            upload::blob(&mut gateway, &self.delivery.id, &blob, path, told).await?;
        }
        let end = self.watch(&mut gateway).await?;
        Ok((provider, end))
    }

    /// Follows the lease until it runs the version wanted, or never will.
    async fn watch(&self, gateway: &mut Gateway) -> Result<End, Error> {
        self.board.say(&self.group, "waiting for the containers");
        let request = LeaseStatusRequest { lease: Some(self.lease.clone()) };
        let stream = gateway.watch_lease(request).await.map_err(|s| error_of(&s))?;
        let mut stream = stream.into_inner();
        let mut look = tokio::time::interval(CHAIN_LOOK);
        loop {
            let next = tokio::select! {
                next = stream.next() => next,
                _ = look.tick() => {
                    if !self.is_live().await? {
                        return Err(Error::Invalid("the lease has ended".into()));
                    }
                    continue;
                }
            };
            let status = match next {
                Some(Ok(status)) => status,
                Some(Err(status)) => return Err(error_of(&status)),
                None => {
                    return Err(Error::Unreachable {
                        what: "the provider".into(),
                        cause: "it ended the connection".into(),
                    })
                }
            };
            if is_serving(&status, &self.delivery.version) {
                return Ok(End::Serving(status));
            }
            if let Some(why) = undone(&status, &self.delivery.version) {
                return Ok(End::Undone(why));
            }
            self.board.say(&self.group, &phase_line(&status, &self.delivery.version));
        }
    }

    async fn is_live(&self) -> Result<bool, Error> {
        let lease = self.tenant.chain.query().lease(&self.lease).await?;
        Ok(lease.state() != LeaseState::Closed)
    }

    /// A lease that ended on chain ends the wait, with its reason.
    async fn still_leased(&self) -> Result<(), Failure> {
        match self.tenant.chain.query().lease(&self.lease).await {
            Ok(lease) if lease.state() == LeaseState::Closed => Err(Failure::with(
                Code::Unmatched,
                format!(
                    "the lease of group {} at provider {} has ended ({}); `stoa tx reopen-group \
                     {} {}` offers the group again",
                    self.group,
                    self.lease.provider,
                    tables::close_reason(&lease),
                    self.lease.dseq,
                    self.lease.gseq
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Whether all of it runs, in the version wanted.
pub fn is_serving(status: &LeaseStatusResponse, version: &str) -> bool {
    status.phase() == LeasePhase::Running
        && status.version == version
        && status.services.iter().all(|s| s.ready >= s.wanted)
}

/// The provider's word that it tried the version and went back.
fn undone(status: &LeaseStatusResponse, version: &str) -> Option<String> {
    (status.undone_version == version).then(|| {
        format!(
            "the provider undid the update: {}; it serves version {} again. Change the file and \
             update once more",
            status.undone_because, status.version
        )
    })
}

/// Whether another attempt may end better.
fn is_worth_repeating(error: &Error, elapsed: Duration) -> bool {
    match error {
        // A stalled upload too: the overall deadline is the caller's.
        Error::Unreachable { .. } | Error::Timeout(_) => true,
        Error::NotFound(_) => elapsed < GRACE,
        // TLS too: the chain may show a root that the provider has just
        // rotated away from, or not yet our certificate.
        Error::Tls(_) => elapsed < GRACE,
        // A manifest that is none and an image that is another stay so.
        Error::Refused(refusal) => {
            let for_good = [tonic::Code::InvalidArgument as u32, tonic::Code::DataLoss as u32];
            elapsed < GRACE && !for_good.contains(&refusal.code)
        }
        _ => false,
    }
}

fn running(status: &LeaseStatusResponse) -> String {
    let names: Vec<String> =
        status.services.iter().map(|s| format!("{} {}/{}", s.name, s.ready, s.wanted)).collect();
    format!("running ({})", names.join(", "))
}

/// A phase in words.
pub fn phase(status: &LeaseStatusResponse) -> &'static str {
    match status.phase() {
        LeasePhase::Unspecified => "unknown",
        LeasePhase::AwaitingManifest => "waiting for the manifest",
        LeasePhase::AwaitingBlobs => "waiting for images",
        LeasePhase::AwaitingSecrets => "waiting for secrets",
        LeasePhase::Starting => "starting",
        LeasePhase::Running => "running",
        LeasePhase::Degraded => "degraded",
        LeasePhase::Closing => "closing",
    }
}

fn phase_line(status: &LeaseStatusResponse, version: &str) -> String {
    let ready: Vec<String> =
        status.services.iter().map(|s| format!("{} {}/{}", s.name, s.ready, s.wanted)).collect();
    let mut line = phase(status).to_owned();
    if status.phase() == LeasePhase::Running && status.version != version {
        line = "still running the earlier version".into();
    }
    if !ready.is_empty() {
        line.push_str(&format!(" ({})", ready.join(", ")));
    }
    if !status.message.is_empty() {
        line.push_str(&format!(": {}", status.message));
    }
    line
}

#[cfg(test)]
mod tests {
    use stoa_proto::gateway::v1::ServiceStatus;

    use super::*;

    fn status(phase: LeasePhase, version: &str, ready: u32) -> LeaseStatusResponse {
        let service =
            ServiceStatus { name: "web".into(), wanted: 2, ready, ..ServiceStatus::default() };
        LeaseStatusResponse {
            phase: phase.into(),
            version: version.into(),
            services: vec![service],
            ..LeaseStatusResponse::default()
        }
    }

    #[test]
    fn serving_means_running_the_version_with_every_instance() {
        assert!(is_serving(&status(LeasePhase::Running, "aa", 2), "aa"));
        assert!(!is_serving(&status(LeasePhase::Running, "aa", 1), "aa"));
        assert!(!is_serving(&status(LeasePhase::Running, "bb", 2), "aa"));
        assert!(!is_serving(&status(LeasePhase::Degraded, "aa", 2), "aa"));
        let line = phase_line(&status(LeasePhase::Running, "bb", 2), "aa");
        assert!(line.contains("earlier version"), "{line}");
    }

    #[test]
    fn an_undone_update_ends_the_wait_with_the_providers_reason() {
        let mut status = status(LeasePhase::Starting, "aa", 1);
        assert!(undone(&status, "bb").is_none());
        status.undone_version = "bb".into();
        status.undone_because = "web[0]: it ends with code 1".into();
        assert!(undone(&status, "cc").is_none(), "that was another version");
        let why = undone(&status, "bb").unwrap();
        assert!(why.contains("it ends with code 1; it serves version aa again"), "{why}");
    }

    #[test]
    fn a_provider_that_lags_is_asked_again_and_one_that_refuses_is_not() {
        let refusal = |code: tonic::Code| {
            Error::from(stoa_client::Refusal {
                codespace: "gateway".into(),
                code: code as u32,
                message: String::new(),
                hash: None,
                height: None,
            })
        };
        let soon = Duration::from_secs(1);
        assert!(is_worth_repeating(&refusal(tonic::Code::Unauthenticated), soon));
        assert!(!is_worth_repeating(&refusal(tonic::Code::Unauthenticated), GRACE));
        assert!(!is_worth_repeating(&refusal(tonic::Code::InvalidArgument), soon));
        assert!(!is_worth_repeating(&refusal(tonic::Code::DataLoss), soon));
        let gone = Error::Unreachable { what: "x".into(), cause: "y".into() };
        assert!(is_worth_repeating(&gone, GRACE * 5));
    }
}
