//! Waiting for a provider: until it serves the version, or never will, or its
//! peers leave it without images.

use std::time::Duration;

use futures::StreamExt;
use stoa_client::{
    gateway::{error_of, phase_words},
    Error,
};
use stoa_proto::{
    gateway::v1::{LeasePhase, LeaseStatusRequest, LeaseStatusResponse, Payload},
    market::v1::LeaseState,
};
use tokio::time::Instant;

use super::Way;
use crate::gateway::Gateway;

/// Between looks at the chain, and at what peers have brought, while a
/// provider works.
const LOOK: Duration = Duration::from_secs(5);
/// A provider that gets nothing for so long, though there is something to be
/// had from its peers, is sent images directly.
const PEERS_PATIENCE: Duration = Duration::from_secs(20);

/// How waiting for a provider ends.
pub(super) enum End {
    /// It serves the version.
    Serving(LeaseStatusResponse),
    /// It tried the version and went back to the one before; why.
    Undone(String),
    /// Its peers bring it nothing.
    Starved,
}

impl Way<'_> {
    /// Follows the lease until it runs the version wanted, or never will.
    /// `peers`: they are to bring it images.
    pub(super) async fn watch(&self, gateway: &mut Gateway, peers: bool) -> Result<End, Error> {
        if !peers {
            self.board.say(&self.group, "waiting for the containers");
        }
        let version = &self.delivery.version;
        let own = self.delivery.images_of(&self.group);
        let request = LeaseStatusRequest { lease: Some(self.lease.clone()) };
        let stream = gateway.watch_lease(request.clone()).await.map_err(|s| error_of(&s))?;
        let mut stream = stream.into_inner();
        let mut look = tokio::time::interval(LOOK);
        let mut hunger = Hunger::new(Instant::now());
        loop {
            let status = tokio::select! {
                next = stream.next() => answered(next)?,
                _ = look.tick() => {
                    if !self.is_live().await? {
                        return Err(Error::Invalid("the lease has ended".into()));
                    }
                    if !peers {
                        continue;
                    }
                    // What is pushed tells of large steps alone.
                    let status = gateway.lease_status(request.clone()).await;
                    status.map_err(|s| error_of(&s))?.into_inner()
                }
            };
            if is_serving(&status, version) {
                return Ok(End::Serving(status));
            }
            if let Some(why) = undone(&status, version) {
                return Ok(End::Undone(why));
            }
            let (have, size) = brought(&status, &own);
            if !peers || !is_waiting_for(&status, version, &own) {
                hunger = Hunger::new(Instant::now());
                self.board.say(&self.group, &phase_line(&status, version));
                continue;
            }
            let to_be_had = self.giving.to_be_had(own.iter().map(String::as_str));
            hunger.note(have, to_be_had, Instant::now());
            if hunger.is_starved(Instant::now()) {
                return Ok(End::Starved);
            }
            self.board.fetched(&self.group, have, size);
        }
    }

    async fn is_live(&self) -> Result<bool, Error> {
        let lease = self.tenant.chain.query().lease(&self.lease).await?;
        Ok(lease.state() != LeaseState::Closed)
    }
}

fn answered(
    next: Option<Result<LeaseStatusResponse, tonic::Status>>,
) -> Result<LeaseStatusResponse, Error> {
    match next {
        Some(Ok(status)) => Ok(status),
        Some(Err(status)) => Err(error_of(&status)),
        None => Err(Error::Unreachable {
            what: "the provider".into(),
            cause: "it ended the connection".into(),
        }),
    }
}

/// How long a provider has got nothing from its peers though they had more.
struct Hunger {
    /// Bytes that it had when it last got some.
    have: u64,
    since: Instant,
}

impl Hunger {
    fn new(now: Instant) -> Self {
        Self { have: 0, since: now }
    }

    /// It has so many bytes, and so many are to be had.
    fn note(&mut self, have: u64, to_be_had: u64, now: Instant) {
        if have > self.have || to_be_had <= have {
            *self = Self { have, since: now };
        }
    }

    fn is_starved(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= PEERS_PATIENCE
    }
}

/// Bytes that a provider has of these images, and bytes of all of them.
fn brought(status: &LeaseStatusResponse, images: &[String]) -> (u64, u64) {
    let of_these = status.payloads.iter().filter(|payload| images.contains(&payload.root));
    of_these.fold((0, 0), |(have, size), payload| (have + payload.have, size + payload.size))
}

/// Whether images of the version are missing there; an update leaves the
/// version before running meanwhile. One that tells of none has not looked yet.
fn is_waiting_for(status: &LeaseStatusResponse, version: &str, images: &[String]) -> bool {
    let is_here = |image: &String| {
        let complete = |payload: &&Payload| payload.complete && payload.root == *image;
        status.payloads.iter().any(|payload| complete(&payload))
    };
    let tells = !status.payloads.is_empty();
    tells && status.version != version && !images.iter().all(is_here)
}

/// Whether all of it runs, in the version wanted.
fn is_serving(status: &LeaseStatusResponse, version: &str) -> bool {
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

fn phase_line(status: &LeaseStatusResponse, version: &str) -> String {
    let ready: Vec<String> =
        status.services.iter().map(|s| format!("{} {}/{}", s.name, s.ready, s.wanted)).collect();
    let mut line = phase_words(status.phase()).to_owned();
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
    fn a_provider_waits_for_its_own_images_until_all_are_complete() {
        let payload = |root: &str, have, complete| Payload {
            root: root.into(),
            size: 10,
            have,
            complete,
            ..Payload::default()
        };
        let own = ["a".to_owned(), "b".to_owned()];
        let mut now = status(LeasePhase::AwaitingBlobs, "", 0);
        assert!(!is_waiting_for(&now, "aa", &own), "it has not looked");
        now.payloads = vec![payload("a", 10, true), payload("b", 4, false)];
        now.payloads.push(payload("of another group", 3, false));
        assert!(is_waiting_for(&now, "aa", &own));
        assert_eq!(brought(&now, &own), (14, 20));
        now.payloads[1] = payload("b", 10, true);
        assert!(!is_waiting_for(&now, "aa", &own));
        assert!(!is_waiting_for(&now, "aa", &[]), "it needs none");
    }

    #[test]
    fn who_gets_nothing_is_starved_only_where_there_is_more_to_be_had() {
        let begin = Instant::now();
        let at = |patiences: u32| begin + PEERS_PATIENCE * patiences;
        // The one that is sent images has none of these yet.
        let mut hunger = Hunger::new(begin);
        hunger.note(0, 0, at(3));
        assert!(!hunger.is_starved(at(3)));
        // It has some, and passes them on, slowly.
        for step in 4..8 {
            hunger.note(u64::from(step), 100, at(step));
            assert!(!hunger.is_starved(at(step)));
        }
        // The upload rests, and all that is out has come.
        hunger.note(100, 100, at(9));
        assert!(!hunger.is_starved(at(9)));
        // It goes on, and nothing comes.
        hunger.note(100, 101, at(9));
        hunger.note(100, 200, at(9) + PEERS_PATIENCE / 2);
        assert!(!hunger.is_starved(at(9) + PEERS_PATIENCE / 2));
        hunger.note(100, 300, at(10));
        assert!(hunger.is_starved(at(10)));
    }
}
