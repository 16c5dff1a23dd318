//! To the leased providers: the manifest to each that is reached, all images
//! and sealed secrets to one of them ([`gift`]), and waiting until all serve
//! them ([`wait`]). The others have images and secrets from the one, while it
//! still gets them; one to which its peers bring nothing is sent its images
//! directly. The same for a first deployment, a resumed one and an update.

mod delivery;
mod gift;
mod giving;
#[cfg(test)]
mod tests;
mod wait;

use std::time::Duration;

use futures::future::join_all;
use stoa_client::{gateway::error_of, tls::Identity, Error};
use stoa_proto::{
    gateway::v1::{BlobStatusResponse, LeaseStatusResponse, SubmitManifestRequest},
    market::v1::{Lease, LeaseState},
    provider::v1::Provider,
    types::v1::BidId,
};
use tokio::time::Instant;

use super::{progress::Board, sealed::Sealing, Tenant};
use crate::{
    exit::{Code, Failure},
    gateway::{connect_both, Gateway},
    query::tables,
};
pub use delivery::Delivery;
use gift::{Gift, Lacking};
use giving::{Giving, Turn};
use wait::End;

/// Between attempts at a provider.
const RETRY: Duration = Duration::from_secs(2);
/// A provider may lag behind the chain so long before its "unknown lease" or
/// "unknown certificate" is taken at its word.
const GRACE: Duration = Duration::from_secs(60);
/// A provider that the tenant does not reach for so long, while another has
/// everything and the lease is started on chain, is let be.
const REACH_PATIENCE: Duration = Duration::from_secs(15);

/// A lease that serves the version, or that is left to its peers.
pub struct Served {
    pub lease: Lease,
    pub group: String,
    pub provider: Provider,
    pub status: LeaseStatusResponse,
    /// The provider is not reached from here; why.
    pub unreached: Option<String>,
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
        let lacking = self.lacking(answer.into_inner().missing_blobs);
        let end = match direct {
            true => {
                self.gift().send_own(&gateway, &lacking).await?;
                self.watch(&mut gateway, false).await?
            }
            false => self.with_images(&mut gateway, &lacking, unsealed.is_empty()).await?,
        };
        Ok((provider, end))
    }

    /// Sends the images that the provider lacks, unless another one that is
    /// sent them passes them on. `sealed`: it has all secrets.
    async fn with_images(
        &self,
        gateway: &mut Gateway,
        lacking: &[Lacking],
        sealed: bool,
    ) -> Result<End, Error> {
        if lacking.is_empty() {
            self.has_everything(sealed);
            return self.watch(gateway, false).await;
        }
        self.board.say(&self.group, "waiting for images");
        // While another is sent images, this one has them from there.
        let mut watched = gateway.clone();
        let turn = tokio::select! {
            biased;
            turn = self.giving.turn() => turn,
            end = self.watch(&mut watched, true) => return end,
        };
        if let Turn::Taken(by) = &turn {
            let by = crate::text::short(by);
            self.board.say(&self.group, &format!("provider {by} passes the images on"));
            return self.watch(gateway, lacking.iter().any(|image| image.own)).await;
        }
        if self.gift().send(&turn, gateway, lacking).await? {
            self.has_everything(sealed);
        }
        drop(turn);
        self.watch(gateway, false).await
    }

    fn has_everything(&self, sealed: bool) {
        if sealed {
            self.giving.taken_by(&self.lease.provider);
        }
    }

    fn gift(&self) -> Gift<'_> {
        Gift {
            id: &self.delivery.id,
            files: &self.delivery.blobs,
            giving: self.giving,
            board: self.board,
            group: &self.group,
            provider: &self.lease.provider,
        }
    }

    fn lacking(&self, missing: Vec<BlobStatusResponse>) -> Vec<Lacking> {
        let own = self.delivery.images_of(&self.group);
        let lacking = missing.into_iter().map(|blob| Lacking {
            own: own.contains(&blob.blob),
            image: blob.blob,
            size: blob.size,
        });
        lacking.collect()
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
