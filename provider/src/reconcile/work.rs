//! One lease, one turn: have its images, compare, take the steps.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use stoa_client::ids::deployment_of;
use stoa_client::proto::gateway::v1::LeasePhase;
use stoa_client::proto::market::v1::MsgStartLease;
use stoa_client::tx::any;
use stoa_manifest::Group;

use super::data;
use super::goal::{self, Goal, ServiceGoal};
use super::plan::{plan, Patience, Step, Verdict};
use super::shared::Shared;
use super::status::{self, Reaches};
use crate::chain::LeaseView;
use crate::failpoint::failpoint;
use crate::runtime::{InstanceKey, ObservedInstance, RuntimeError, WorkloadSpec};
use crate::secrets::put_into;
use crate::store::{LeaseRecord, Rollout};

/// A lease with what is known of it before its turn.
pub(super) struct Turn {
    pub lease: LeaseView,
    pub record: LeaseRecord,
    pub group: Group,
    /// The accepted manifest's version.
    pub version: String,
    pub seen: BTreeMap<InstanceKey, ObservedInstance>,
    pub reach: Reaches,
    /// The ingress follows this version's ports and names.
    pub routed: bool,
}

/// How a turn ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing to do until something changes.
    Settled,
    /// Steps were taken: look again at once.
    Stepped,
    /// It waits for time to pass: look again soon.
    Waiting,
    /// Something fails that looking more often does not mend.
    Failing,
}

impl Turn {
    /// Takes the lease's next steps. An error leaves it for a later turn.
    pub(super) async fn run(&self, shared: &Shared) -> anyhow::Result<Outcome> {
        let services = match self.prepare(shared).await {
            Ok(services) => services,
            Err(error) => return self.unprepared(error, shared).await,
        };
        let served = self.record.serving.as_ref() == Some(&self.version);
        let goal = Goal {
            version: self.version.clone(),
            services,
            update: self.is_update(),
            served,
            rollout: self.rollout(shared),
            overuses: self.record.overuses.clone(),
            crashes: shared.crashes().of_lease(&self.lease.name),
        };
        let plan = plan(&goal, &self.seen, now(), self.patience(shared));
        // What has nothing else to do runs as soon as it is reached so.
        let verdict = match plan.verdict {
            Verdict::Ready if !self.routed => Verdict::Working("its routes follow".into()),
            verdict => verdict,
        };
        self.post_verdict(shared, &verdict);
        let stepped = !plan.steps.is_empty();
        for step in plan.steps {
            self.take(step, shared).await?;
        }
        if verdict == Verdict::Ready && self.lease.is_pending() {
            self.start_lease(shared).await?;
        }
        Ok(match (stepped, verdict) {
            (true, _) => Outcome::Stepped,
            (false, Verdict::Ready | Verdict::Stopped(_) | Verdict::Unknown(_)) => Outcome::Settled,
            (false, Verdict::Failing(_)) if served => Outcome::Failing,
            (false, _) => Outcome::Waiting,
        })
    }

    fn is_update(&self) -> bool {
        self.record.serving.as_ref().is_some_and(|serving| *serving != self.version)
    }

    /// Places, images and secrets: all that containers are made of.
    async fn prepare(&self, shared: &Shared) -> anyhow::Result<Vec<ServiceGoal>> {
        let needs = goal::needs(&self.lease.name, &self.group, &self.lease.lease.gpus);
        shared.backend.place(&needs).await?;
        if !shared.images.knows(&self.lease.name, &self.group) {
            self.post(shared, LeasePhase::Starting, "loading images");
        }
        let images = shared
            .images
            .of_group(
                shared.image_engine.as_ref(),
                &shared.blobs,
                &self.lease.name,
                &self.group,
                &self.seen,
                shared.board.events(),
            )
            .await?;
        let mut services = goal::services(
            &self.lease.name,
            &self.version,
            &self.group,
            &images,
            &self.lease.lease.gpus,
        )
        .map_err(anyhow::Error::msg)?;
        self.put_secrets(&mut services, shared)?;
        Ok(services)
    }

    /// An update of which something cannot be had, such as an image, has as
    /// long as one whose containers do not answer; then it is undone.
    async fn unprepared(&self, error: anyhow::Error, shared: &Shared) -> anyhow::Result<Outcome> {
        let unknown = error.downcast_ref::<RuntimeError>().is_some_and(RuntimeError::is_unknown);
        if unknown || !self.is_update() {
            return Err(error);
        }
        let update = shared.config.timing.update_seconds;
        let failed_before = shared.has_failed(&self.lease.name);
        match self.rollout(shared).filter(|rollout| rollout.version == self.version) {
            None => self.take(Step::Begin { service: String::new() }, shared).await?,
            // One failure is no reason, however long the service before took.
            Some(rollout) if !failed_before => {
                self.take(Step::Begin { service: rollout.service }, shared).await?;
            }
            Some(rollout) if now().saturating_sub(rollout.since) >= update => {
                let why = format!("not ready within {update} s of its update: {error:#}");
                self.take(Step::Undo { why }, shared).await?;
                return Ok(Outcome::Stepped);
            }
            Some(_) => {}
        }
        Err(error)
    }

    /// Opens the secrets that the group names, for as long as the turn lasts.
    fn put_secrets(&self, services: &mut [ServiceGoal], shared: &Shared) -> anyhow::Result<()> {
        if self.group.secrets().is_empty() {
            return Ok(());
        }
        let id = deployment_of(&self.lease.id);
        let own = shared.secrets.own(&id, &self.version, &self.group.name)?;
        let values = own.map(|own| own.values).unwrap_or_default();
        put_into(services, &values, &shared.secrets).map_err(anyhow::Error::msg)
    }

    fn rollout(&self, shared: &Shared) -> Option<Rollout> {
        let rollout = self.record.rollout.clone();
        shared.clock().settle_rollout(&self.lease.name, rollout, now(), Instant::now())
    }

    fn patience(&self, shared: &Shared) -> Patience {
        let timing = &shared.config.timing;
        Patience {
            settle: timing.settle_seconds,
            update: timing.update_seconds,
            silent: shared.config.workloads.silent_seconds,
        }
    }

    async fn take(&self, step: Step, shared: &Shared) -> anyhow::Result<()> {
        let name = &self.lease.name;
        match step {
            Step::Begin { service } => {
                let since = now();
                let rollout = Rollout { version: self.version.clone(), service, since };
                shared.leases.update(name, |record| record.rollout = Some(rollout))?;
                failpoint("update.after_begin");
            }
            Step::Apply(spec) => {
                failpoint("lease.before_apply");
                self.ensure_image(&spec, shared).await?;
                let done = data::apply(self, &spec, shared).await?;
                tracing::info!(lease = %name, instance = %spec.key, "applied: {done:?}");
                failpoint("lease.after_apply");
            }
            Step::Rest(key) => {
                shared.backend.stop(&key).await?;
                shared.crashes().begin_rest(&key);
                tracing::info!(lease = %name, instance = %key, "keeps ending; it rests");
            }
            Step::Stop { key, why } => {
                shared.backend.stop(&key).await?;
                tracing::warn!(lease = %name, instance = %key, "stopped: {why}");
                failpoint("lease.after_stop");
            }
            Step::Remove(key) => {
                shared.backend.remove_instance(&key).await?;
                tracing::info!(lease = %name, instance = %key, "removed");
                failpoint("lease.after_remove");
            }
            Step::Commit => {
                shared.leases.update(name, |record| {
                    record.serving = Some(self.version.clone());
                    record.rollout = None;
                })?;
                tracing::info!(lease = %name, version = %self.version, "runs completely");
                failpoint("lease.after_commit");
            }
            Step::Undo { why } => {
                tracing::warn!(lease = %name, version = %self.version, "update undone: {why}");
                shared.leases.update(name, |record| {
                    record.rejected = Some(self.version.clone());
                    record.rejected_because = why;
                    record.accepted = record.serving.clone();
                    record.rollout = None;
                })?;
                failpoint("update.after_undo");
            }
        }
        Ok(())
    }

    /// Another machine than the first instance's has to have the image too.
    async fn ensure_image(&self, spec: &WorkloadSpec, shared: &Shared) -> anyhow::Result<()> {
        let named = |service: &&stoa_manifest::Service| service.name == spec.key.service;
        let Some(service) = self.group.services.iter().find(named) else { return Ok(()) };
        let engine = shared.image_engine.as_ref();
        Ok(shared.images.ensure(engine, &shared.blobs, service, spec).await?)
    }

    /// Tells the chain that the lease is served; it is paid from then on.
    async fn start_lease(&self, shared: &Shared) -> anyhow::Result<()> {
        if shared.is_started(&self.lease.name) {
            return Ok(());
        }
        let message = MsgStartLease {
            provider: shared.queue.address().into(),
            lease: Some(self.lease.id.clone()),
        };
        failpoint("start.before_send");
        let label = format!("start:{}", self.lease.name);
        let sent = shared.queue.submit_labelled(&label, vec![any(&message)]).await;
        let done = sent.context("telling the chain that the lease is served")?;
        failpoint("start.after_send");
        tracing::info!(lease = %self.lease.name, height = done.height, "lease started");
        shared.note_started(&self.lease.name);
        Ok(())
    }

    fn post_verdict(&self, shared: &Shared, verdict: &Verdict) {
        match (verdict, self.undone()) {
            (Verdict::Ready, None) => self.post(shared, LeasePhase::Running, ""),
            (Verdict::Ready, Some((version, why))) => {
                let served = &self.version;
                let text =
                    format!("the update to {version} was undone ({why}); {served} is served");
                self.post(shared, LeasePhase::Degraded, &text);
            }
            (Verdict::Working(what), _) => self.post(shared, LeasePhase::Starting, what),
            (Verdict::Failing(why) | Verdict::Stopped(why) | Verdict::Unknown(why), _) => {
                self.post(shared, LeasePhase::Degraded, why);
            }
        }
    }

    /// The version that the chain names, where it failed here, and why it did.
    fn undone(&self) -> Option<(&str, &str)> {
        let version = self.record.rejected.as_deref()?;
        let wanted = version == self.lease.version();
        wanted.then_some((version, self.record.rejected_because.as_str()))
    }

    pub(super) fn post(&self, shared: &Shared, phase: LeasePhase, message: &str) {
        let mut status = status::bare(&self.lease.id, phase, message);
        status.version = self.version.clone();
        status.services = status::of_group(&self.group, &self.lease.name, &self.seen, &self.reach);
        if let Some((version, why)) = self.undone() {
            (status.undone_version, status.undone_because) = (version.into(), why.into());
        }
        shared.board.post(&self.lease.name, status);
    }
}

/// Unix seconds by this machine's clock, which is the engine's.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
