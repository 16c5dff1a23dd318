//! The fleet as a runtime: each call goes to the machine that it is about, or
//! to all, and their answers are put together.

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use futures::stream::BoxStream;
use futures::StreamExt;
use tokio::sync::broadcast::error::RecvError;

use super::host::Host;
use super::Fleet;
use crate::hosts::HostOrder;
use crate::runtime::{
    Applied, Backend, Check, Connection, EngineEvent, ExecRequest, ExecSession, InstanceKey,
    InstanceStats, Inventory, LogPiece, LogRequest, Machine, Need, Observation, ObservedInstance,
    RuntimeError, StorageUse, Verdict, WorkloadSpec,
};

impl Fleet {
    /// Puts one machine's objects to the others'.
    fn merge(&self, all: &mut Observation, host: &Host, seen: Observation, unknown: bool) {
        for (key, mut instance) in seen.instances {
            // Elsewhere it is a leftover; the keeper removes it.
            if self.placements.host_of(&key).is_some_and(|name| name == host.name) {
                instance.place = host.place(unknown);
                all.instances.insert(key, instance);
            }
        }
        all.leases_with_volumes.extend(seen.leases_with_volumes);
        all.unreadable.extend(seen.unreadable);
    }

    /// What has its place on a machine that does not answer, as it was when it
    /// last did, though that was told to a former run.
    fn merge_unknown(&self, all: &mut Observation, host: &Host) {
        self.merge(all, host, host.last_known().unwrap_or_default(), true);
        for placement in self.placements.on(&host.name) {
            all.instances.entry(placement.key).or_insert_with(|| ObservedInstance {
                place: host.place(true),
                ..ObservedInstance::default()
            });
        }
    }

    /// Machines that have, or may have, something of a lease.
    fn concerned(&self, host: &Host, lease: &str) -> bool {
        let seen = host.last_known().is_some_and(|last| {
            last.leases_with_volumes.contains(lease)
                || last.instances.keys().any(|key| key.lease == lease)
        });
        seen || self.placements.has_lease_on(lease, &host.name)
    }
}

#[async_trait]
impl Backend for Fleet {
    /// The sum of the machines that answer. What holds of all must hold of
    /// each.
    async fn inventory(&self) -> Result<Inventory, RuntimeError> {
        let machines = self.machines().await?;
        let mut inventories = machines.into_iter().filter(|m| m.usable).map(|m| m.inventory);
        let Some(mut sum) = inventories.next() else {
            return self.local.inventory().await;
        };
        for one in inventories {
            sum.cpu_millis = sum.cpu_millis.saturating_add(one.cpu_millis);
            sum.memory_bytes = sum.memory_bytes.saturating_add(one.memory_bytes);
            sum.disk_bytes = sum.disk_bytes.saturating_add(one.disk_bytes);
            sum.disk_free_bytes = sum.disk_free_bytes.saturating_add(one.disk_free_bytes);
            sum.gpus.extend(one.gpus);
            sum.storage_quota &= one.storage_quota;
            sum.gvisor &= one.gvisor;
            sum.user_namespaces &= one.user_namespaces;
        }
        Ok(sum)
    }

    async fn machines(&self) -> Result<Vec<Machine>, RuntimeError> {
        let hosts: Vec<_> = self.hosts().into_iter().filter(|host| !host.is_dead()).collect();
        let measured = join_all(hosts.iter().map(|host| host.inventory())).await;
        let mut machines = vec![];
        let mut failed = None;
        for (host, inventory) in hosts.iter().zip(measured) {
            match inventory {
                Ok(inventory) => machines.push(Machine {
                    name: host.name.clone(),
                    inventory,
                    declared: host.declared,
                    placed: self.placements.taken_on(&host.name),
                    usable: host.order() == HostOrder::Active && host.answers(),
                }),
                Err(error) => failed = Some(error),
            }
        }
        match (machines.is_empty(), failed) {
            (true, Some(error)) => Err(error),
            _ => Ok(machines),
        }
    }

    async fn place(&self, needs: &[Need]) -> Result<(), RuntimeError> {
        self.give_places(needs).await
    }

    async fn apply(&self, spec: &WorkloadSpec) -> Result<Applied, RuntimeError> {
        self.host_of(&spec.key)?.engine.apply(spec).await
    }

    async fn stop(&self, key: &InstanceKey) -> Result<(), RuntimeError> {
        self.host_of(key)?.engine.stop(key).await
    }

    async fn restart(&self, key: &InstanceKey) -> Result<(), RuntimeError> {
        self.host_of(key)?.engine.restart(key).await
    }

    async fn remove_instance(&self, key: &InstanceKey) -> Result<(), RuntimeError> {
        self.host_of(key)?.engine.remove_instance(key).await?;
        self.note_removal();
        self.placements.remove(key).map_err(|error| super::not_written(&error))?;
        self.freed.notify_one();
        Ok(())
    }

    /// Done only when every machine that has something of it said so.
    async fn remove_lease(&self, lease: &str) -> Result<(), RuntimeError> {
        let hosts: Vec<_> = self.hosts().into_iter().filter(|host| !host.is_dead()).collect();
        let removals = hosts.iter().map(|host| async move {
            match (host.answers(), self.concerned(host, lease)) {
                (true, true) => host.engine.remove_lease(lease).await,
                // Nothing of it was seen there; still, asking costs little.
                (true, false) if host.is_local() => host.engine.remove_lease(lease).await,
                (_, false) => Ok(()),
                (false, true) => Err(host.unknown("removing a lease")),
            }
        });
        join_all(removals).await.into_iter().collect::<Result<(), RuntimeError>>()?;
        self.note_removal();
        self.placements.remove_lease(lease).map_err(|error| super::not_written(&error))?;
        self.freed.notify_one();
        Ok(())
    }

    /// An error only where no machine at all answers.
    async fn observe(&self) -> Result<Observation, RuntimeError> {
        let hosts: Vec<_> = self.hosts().into_iter().filter(|host| !host.is_dead()).collect();
        let since = self.removals();
        let looks = join_all(hosts.iter().map(|host| host.look())).await;
        let mut all = Observation::default();
        let (mut answered, mut failed) = (false, None);
        for (host, look) in hosts.iter().zip(looks) {
            match look {
                Ok(seen) => {
                    answered = true;
                    self.adopt(since, &host.name, &seen)?;
                    self.merge(&mut all, host, seen, false);
                }
                Err(error) => {
                    tracing::debug!(host = %host.name, "{error}");
                    self.merge_unknown(&mut all, host);
                    failed = Some(error);
                }
            }
        }
        match (answered, failed) {
            (false, Some(error)) => Err(error),
            _ => Ok(all),
        }
    }

    async fn observe_instance(&self, key: &InstanceKey) -> Result<ObservedInstance, RuntimeError> {
        let host = self.host_of(key)?;
        let mut seen = host.engine.observe_instance(key).await?;
        seen.place = host.place(false);
        Ok(seen)
    }

    fn logs(
        &self,
        key: &InstanceKey,
        request: LogRequest,
    ) -> BoxStream<'static, Result<LogPiece, RuntimeError>> {
        match self.host_of(key) {
            Ok(host) => host.engine.logs(key, request),
            Err(error) => futures::stream::once(async move { Err(error) }).boxed(),
        }
    }

    async fn exec(
        &self,
        key: &InstanceKey,
        request: ExecRequest,
    ) -> Result<ExecSession, RuntimeError> {
        self.host_of(key)?.engine.exec(key, request).await
    }

    fn read_files(
        &self,
        key: &InstanceKey,
        path: &str,
    ) -> BoxStream<'static, Result<Bytes, RuntimeError>> {
        match self.host_of(key) {
            Ok(host) => host.engine.read_files(key, path),
            Err(error) => futures::stream::once(async move { Err(error) }).boxed(),
        }
    }

    async fn write_files(
        &self,
        key: &InstanceKey,
        path: &str,
        tar: BoxStream<'static, Result<Bytes, std::io::Error>>,
    ) -> Result<(), RuntimeError> {
        self.host_of(key)?.engine.write_files(key, path, tar).await
    }

    async fn dial(
        &self,
        key: &InstanceKey,
        port: u16,
    ) -> Result<Box<dyn Connection>, RuntimeError> {
        self.host_of(key)?.engine.dial(key, port).await
    }

    async fn stats(&self, key: &InstanceKey) -> Result<InstanceStats, RuntimeError> {
        self.host_of(key)?.engine.stats(key).await
    }

    /// Of the machines that answer.
    async fn storage(&self) -> Result<Vec<StorageUse>, RuntimeError> {
        let hosts = self.hosts().into_iter().filter(|host| host.answers() && !host.is_dead());
        let hosts: Vec<_> = hosts.collect();
        let measured = join_all(hosts.iter().map(|host| host.engine.storage())).await;
        let mut all = vec![];
        let (mut answered, mut failed) = (false, None);
        for (host, uses) in hosts.iter().zip(measured) {
            match uses {
                Ok(uses) => {
                    answered = true;
                    let here = |key: &InstanceKey| {
                        self.placements.host_of(key).is_none_or(|name| name == host.name)
                    };
                    all.extend(uses.into_iter().filter(|used| here(&used.key)));
                }
                Err(error) => {
                    tracing::warn!(host = %host.name, "measuring storage: {error}");
                    failed = Some(error);
                }
            }
        }
        match (answered, failed) {
            (false, Some(error)) => Err(error),
            _ => Ok(all),
        }
    }

    /// Of all machines; also that one has come back or gone.
    fn events(&self) -> BoxStream<'static, Result<EngineEvent, RuntimeError>> {
        let events = self.events.subscribe();
        futures::stream::unfold(events, |mut events| async move {
            loop {
                match events.recv().await {
                    Ok(event) => return Some((Ok(event), events)),
                    // Who lags has enough to look at.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        })
        .boxed()
    }

    async fn checks(&self) -> Result<Vec<Check>, RuntimeError> {
        let mut all = self.local.engine.checks().await?;
        for host in self.hosts().into_iter().filter(|host| !host.is_local()) {
            let silent = |words: String| Check {
                name: "machine",
                verdict: Verdict::Warning,
                words: format!("{}: {words}", host.name),
            };
            if let Some((why, _)) = host.silence() {
                all.push(silent(format!("does not answer: {why}")));
                continue;
            }
            match host.engine.checks().await {
                Ok(checks) => all.extend(checks),
                Err(error) => all.push(silent(error.to_string())),
            }
        }
        Ok(all)
    }
}
