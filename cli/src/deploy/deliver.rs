//! To the leased providers: the manifest to each that is reached, all images
//! and sealed secrets to one of them, and then waiting until all serve them.
//! The others have images and secrets from the one; where that takes too long
//! they are sent directly. The same for a first deployment, a resumed one and
//! an update.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use futures::{future::join_all, StreamExt};
use stoa_client::{gateway::error_of, sealing::Values, tls::Identity, Error};
use stoa_manifest::{ImageRef, Manifest};
use stoa_proto::{
    gateway::v1::{
        BlobStatusResponse, LeasePhase, LeaseStatusRequest, LeaseStatusResponse, Payload,
        SubmitManifestRequest,
    },
    market::v1::{Lease, LeaseState},
    provider::v1::Provider,
    types::v1::{BidId, DeploymentId},
};
use tokio::time::Instant;

use super::{
    giving::{Giving, Turn},
    progress::Board,
    sealed::Sealing,
    Tenant,
};
use crate::{
    deploy::upload,
    exit::{Code, Failure},
    gateway::{connect_both, Gateway},
    query::tables,
    secret,
};

/// Between attempts at a provider.
const RETRY: Duration = Duration::from_secs(2);
/// Between looks at the chain while a provider works.
const CHAIN_LOOK: Duration = Duration::from_secs(5);
/// A provider may lag behind the chain so long before its "unknown lease" or
/// "unknown certificate" is taken at its word.
const GRACE: Duration = Duration::from_secs(60);

/// A provider that waits for its peers and gets nothing for so long is sent
/// images directly.
const PEERS_PATIENCE: Duration = Duration::from_secs(20);
/// A provider that the tenant does not reach for so long, while another has
/// everything and the lease is started on chain, is let be.
const REACH_PATIENCE: Duration = Duration::from_secs(15);

/// What is brought to the providers.
pub struct Delivery {
    pub id: DeploymentId,
    /// Hex.
    pub version: String,
    /// Canonical bytes.
    pub manifest: Vec<u8>,
    /// Files to be shipped, by BLAKE3 root.
    pub blobs: BTreeMap<String, PathBuf>,
    parsed: Manifest,
    /// What the manifest names and does not hold.
    secrets: Values,
}

impl Delivery {
    /// With the secrets that the manifest names, as they are kept here.
    pub fn new(
        tenant: &Tenant,
        id: DeploymentId,
        version: String,
        manifest: Vec<u8>,
        blobs: BTreeMap<String, PathBuf>,
    ) -> Result<Self, Failure> {
        let parsed = Manifest::from_canonical(&manifest)
            .map_err(|e| Failure::new(format!("the manifest that is kept here: {e}")))?;
        let secrets = secret::values_of(&tenant.context, &parsed)?;
        Ok(Self { id, version, manifest, blobs, parsed, secrets })
    }

    /// Whether a group uses it.
    fn is_of(&self, blob: &str, group: &str) -> bool {
        let group = self.parsed.group(group);
        let mut services = group.into_iter().flat_map(|g| &g.services);
        services.any(|service| match service.image_ref() {
            Some(ImageRef::Blob(image)) => image.root.to_hex().as_str() == blob,
            _ => false,
        })
    }
}

/// A lease that serves the version, or that is left to its peers.
pub struct Served {
    pub lease: Lease,
    pub group: String,
    pub provider: Provider,
    pub status: LeaseStatusResponse,
    /// The provider is not reached from here; why.
    pub unreached: Option<String>,
}

/// How waiting for a provider ends.
enum End {
    /// It serves the version.
    Serving(LeaseStatusResponse),
    /// It tried the version and went back to the one before; why.
    Undone(String),
    /// Its peers bring it nothing.
    Starved,
}

/// One lease's way.
struct Way<'a> {
    tenant: &'a Tenant,
    delivery: &'a Delivery,
    identity: &'a Identity,
    board: &'a Board,
    giving: &'a Giving,
    sealing: &'a Sealing,
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
    let (board, giving) = (Board::new(), Giving::default());
    let deadline = Instant::now() + timeout;
    let group_of = |id: &BidId| {
        let group = view.groups.iter().find(|g| g.id.as_ref().is_some_and(|g| g.gseq == id.gseq));
        group.and_then(|g| g.spec.as_ref()).map(|s| s.name.clone()).unwrap_or_default()
    };
    let leased = leases.iter().filter_map(|lease| lease.id.as_ref());
    let sealing = Sealing::new(
        tenant.chain.chain_id(),
        &delivery.id,
        &delivery.version,
        &delivery.parsed,
        &delivery.secrets,
        leased.map(|id| (group_of(id), id.provider.clone())).collect(),
        &identity,
    )?;
    let ways = leases.iter().filter_map(|lease| {
        let id = lease.id.clone()?;
        let way = Way {
            tenant,
            delivery,
            identity: &identity,
            board: &board,
            giving: &giving,
            sealing: &sealing,
            group: group_of(&id),
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
        let mut direct = false;
        // Since when it is not reached at all.
        let mut unreached: Option<Instant> = None;
        loop {
            let attempt = tokio::time::timeout_at(deadline, self.attempt(direct)).await;
            let error = match attempt {
                Ok(Ok((_, End::Undone(why)))) => {
                    return Err(self.named(Failure::with(Code::Refused, why)))
                }
                Ok(Ok((provider, End::Serving(status)))) => {
                    self.board.done(&self.group, &running(&status));
                    let (lease, group) = (lease.clone(), self.group.clone());
                    return Ok(Served { lease, group, provider, status, unreached: None });
                }
                Ok(Ok((_, End::Starved))) => {
                    direct = true;
                    continue;
                }
                Ok(Err(error)) => error,
                Err(_) => Error::Timeout("it did not come up in time".into()),
            };
            self.still_leased().await?;
            let at_its_end = Instant::now() + RETRY >= deadline;
            if matches!(error, Error::Unreachable { .. }) {
                let since = *unreached.get_or_insert_with(Instant::now);
                if let Some(left) = self.left_to_peers(lease, &error, since, at_its_end).await {
                    return Ok(left);
                }
            } else {
                unreached = None;
            }
            let again = is_worth_repeating(&error, begun.elapsed());
            if !again || at_its_end {
                return Err(self.named(error.into()));
            }
            self.board.say(&self.group, &format!("{error}; trying again"));
            tokio::time::sleep(RETRY).await;
        }
    }

    /// A provider that is not reached from here is no failure where another
    /// has everything: it gets it from there.
    async fn left_to_peers(
        &self,
        lease: &Lease,
        error: &Error,
        since: Instant,
        at_its_end: bool,
    ) -> Option<Served> {
        let holder = self.giving.holder().filter(|holder| *holder != self.lease.provider)?;
        let query = self.tenant.chain.query();
        let now = query.lease(&self.lease).await.ok()?;
        let started = now.state() == LeaseState::Active && since.elapsed() >= REACH_PATIENCE;
        if !started && !at_its_end {
            self.board.say(&self.group, "not reached from here; its peers bring it everything");
            return None;
        }
        let provider = query.provider(&self.lease.provider).await.ok()?.provider?;
        self.board.done(&self.group, "left to its peers: not reached from here");
        crate::out::note(&format!(
            "note: group {} at provider {}: {error}; provider {holder} has everything and passes \
             it on{}",
            self.group,
            self.lease.provider,
            if started { ", and the chain says that the lease has started" } else { "" }
        ));
        let (lease, group) = (lease.clone(), self.group.clone());
        let status = LeaseStatusResponse::default();
        Some(Served { lease, group, provider, status, unreached: Some(error.to_string()) })
    }

    /// Says whose failure it is.
    fn named(&self, mut failure: Failure) -> Failure {
        let (group, provider) = (&self.group, &self.lease.provider);
        failure.message = format!("group {group} at provider {provider}: {}", failure.message);
        failure
    }

    async fn attempt(&self, direct: bool) -> Result<(Provider, End), Error> {
        self.board.say(&self.group, &format!("connecting to provider {}", self.lease.provider));
        let chain = &self.tenant.chain;
        let (mut gateway, channel, provider) =
            connect_both(chain, &self.lease.provider, self.identity).await?;
        self.board.say(&self.group, "sending the manifest");
        let request = SubmitManifestRequest {
            deployment: Some(self.delivery.id.clone()),
            manifest: self.delivery.manifest.clone(),
        };
        let answer = gateway.submit_manifest(request).await.map_err(|s| error_of(&s))?;
        let unsealed = self.sealing.give(chain, channel).await?;
        let missing = answer.into_inner().missing_blobs;
        let peers = self.bring(&mut gateway, missing, unsealed.is_empty(), direct).await?;
        let end = self.watch(&mut gateway, peers).await?;
        Ok((provider, end))
    }

    /// Sends the images that the provider lacks, unless another has them all.
    /// True: its peers are to bring them. `sealed`: it has all secrets.
    async fn bring(
        &self,
        gateway: &mut Gateway,
        missing: Vec<BlobStatusResponse>,
        sealed: bool,
        direct: bool,
    ) -> Result<bool, Error> {
        let own = |blob: &BlobStatusResponse| self.delivery.is_of(&blob.blob, &self.group);
        if direct {
            for blob in missing.iter().filter(|blob| own(blob)) {
                self.upload(gateway, blob).await?;
            }
            return Ok(false);
        }
        if missing.is_empty() {
            self.has_everything(sealed);
            return Ok(false);
        }
        self.board.say(&self.group, "waiting for its turn to be sent images");
        let _turn = match self.giving.turn().await {
            Turn::Taken(by) => {
                let by = crate::text::short(&by);
                self.board.say(&self.group, &format!("provider {by} passes the images on"));
                return Ok(missing.iter().any(own));
            }
            turn @ Turn::Mine(_) => turn,
        };
        for blob in &missing {
            match self.upload(gateway, blob).await {
                Ok(()) => {}
                // It has what it runs, and no room for what it would pass on.
                Err(Error::Refused(refusal)) if !own(blob) => {
                    crate::out::note(&format!(
                        "note: provider {} passes nothing on: {}",
                        self.lease.provider, refusal.message
                    ));
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        self.has_everything(sealed);
        Ok(false)
    }

    fn has_everything(&self, sealed: bool) {
        if sealed {
            self.giving.taken_by(&self.lease.provider);
        }
    }

    async fn upload(&self, gateway: &mut Gateway, blob: &BlobStatusResponse) -> Result<(), Error> {
        let path = self.delivery.blobs.get(&blob.blob).ok_or_else(|| {
            Error::Invalid(format!(
                "the provider asks for image {}, which is not in the file",
                blob.blob
            ))
        })?;
        let told = |sent, size| self.board.upload(&self.group, &blob.blob, sent, size);
        upload::blob(gateway, &self.delivery.id, blob, path, told).await
    }

    /// Follows the lease until it runs the version wanted, or never will.
    /// `peers`: they are to bring it images.
    async fn watch(&self, gateway: &mut Gateway, peers: bool) -> Result<End, Error> {
        self.board.say(&self.group, "waiting for the containers");
        let request = LeaseStatusRequest { lease: Some(self.lease.clone()) };
        let stream = gateway.watch_lease(request).await.map_err(|s| error_of(&s))?;
        let mut stream = stream.into_inner();
        let mut look = tokio::time::interval(CHAIN_LOOK);
        // How many bytes were there, and since when there were no more.
        let mut fed = (0, Instant::now());
        loop {
            let next = tokio::select! {
                next = stream.next() => next,
                _ = look.tick() => {
                    if !self.is_live().await? {
                        return Err(Error::Invalid("the lease has ended".into()));
                    }
                    if peers && fed.1.elapsed() >= PEERS_PATIENCE {
                        return Ok(End::Starved);
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
            let have = status.payloads.iter().map(|payload| payload.have).sum::<u64>();
            let waits = is_waiting_for_images(&status, self.delivery);
            if !waits || have > fed.0 {
                fed = (have, Instant::now());
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

/// Whether images of the version are missing there; an update leaves the
/// version before running meanwhile.
fn is_waiting_for_images(status: &LeaseStatusResponse, delivery: &Delivery) -> bool {
    let missing = |payload: &Payload| !payload.complete;
    status.version != delivery.version && status.payloads.iter().any(missing)
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
