//! What goes on by itself: the roster is put in force, machines are greeted,
//! their events passed on, and leftovers removed.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use stoa_tunnel::hop::Hop;
use tokio::task::JoinSet;

use super::host::{Host, GREET_EVERY};
use super::memory::{self, Memory};
use super::{planes, Fleet};
use crate::hosts::{self, host_certificate_name, HostEntry, LOCAL};
use crate::runtime::{EngineEvent, InstanceKey, Observation, RuntimeError};

/// The roster is looked at this often.
const ROSTER_EVERY: Duration = Duration::from_secs(1);
/// Leftovers are looked for this often.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
const RECONNECT: Duration = Duration::from_secs(2);

impl Fleet {
    /// Goes on for ever; dropping it ends all of it.
    pub async fn run(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        tasks.spawn(pump(Arc::clone(&self), Arc::clone(&self.local)));
        let begin = |tasks: &mut JoinSet<()>, host: Arc<Host>| {
            tasks.spawn(greet(Arc::clone(&self), Arc::clone(&host)));
            tasks.spawn(planes::keep(Arc::clone(&self), Arc::clone(&host)));
            tasks.spawn(pump(Arc::clone(&self), host));
        };
        let known = self.hosts().into_iter().filter(|host| !host.is_local());
        known.for_each(|host| begin(&mut tasks, host));
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        let mut look = tokio::time::interval(ROSTER_EVERY);
        loop {
            tokio::select! {
                _ = look.tick() => {
                    for host in self.follow_roster() {
                        begin(&mut tasks, host);
                    }
                    self.write_state();
                    self.remember();
                }
                _ = sweep.tick() => self.sweep().await,
            }
            while tasks.try_join_next().is_some() {}
        }
    }

    /// Puts the roster in force; returns the machines that are new.
    pub(super) fn follow_roster(&self) -> Vec<Arc<Host>> {
        let roster = match self.roster.read() {
            Ok(roster) => roster,
            Err(error) => {
                tracing::error!("the roster of machines: {error}");
                return vec![];
            }
        };
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = vec![];
        let mut changed = false;
        let dir = hosts::directory(&self.config.data_dir);
        hosts.retain(|name, _| {
            let stays = name == LOCAL || roster.hosts.contains_key(name);
            if !stays {
                memory::forget(&dir, name);
            }
            stays
        });
        for (name, entry) in &roster.hosts {
            let hop = self.hop(name, entry);
            let declared = declared(entry);
            let same =
                |host: &Arc<Host>| host.hop.as_ref() == Some(&hop) && host.declared == declared;
            if let Some(host) = hosts.get(name).filter(|host| same(host)) {
                changed |= host.order() != entry.order;
                host.set_order(entry.order);
                continue;
            }
            match (self.connect)(name, entry) {
                Ok(engine) => {
                    let memory = Memory::new(&dir, name, &entry.fingerprint);
                    let memory = Some(memory);
                    let host = Host::new(name, engine, Some(hop), declared, entry.order, memory);
                    let host = Arc::new(host);
                    hosts.insert(name.clone(), Arc::clone(&host));
                    new.push(host);
                }
                Err(error) => tracing::error!(host = %name, "it cannot be used: {error:#}"),
            }
        }
        drop(hosts);
        changed |= self.local.order() != roster.local;
        self.local.set_order(roster.local);
        if changed {
            self.tell("the roster changed");
        }
        new
    }

    /// Writes down what was seen on each of the other machines.
    pub(super) fn remember(&self) {
        self.hosts().iter().for_each(|host| host.remember());
    }

    fn hop(&self, name: &str, entry: &HostEntry) -> Hop {
        let (identity, authority) = self.front.clone();
        Hop {
            host: name.into(),
            relay: entry.relay,
            name: host_certificate_name(name),
            fingerprint: entry.fingerprint.clone(),
            identity,
            authority,
        }
    }

    /// Wakes who listens for events, though none is about an instance.
    pub(super) fn tell(&self, action: &str) {
        let key = InstanceKey { lease: String::new(), service: String::new(), index: 0 };
        // Nobody listening is well.
        let _ = self.events.send(EngineEvent {
            key,
            link: false,
            action: action.into(),
            exit_code: None,
        });
    }

    /// Removes what is where it has no place.
    pub(super) async fn sweep(&self) {
        for host in self.hosts().into_iter().filter(|host| host.answers()) {
            // A dead one is not observed otherwise.
            let seen = match host.is_dead() {
                true => host.look().await.ok(),
                false => host.last(),
            };
            let Some(seen) = seen else { continue };
            if let Err(error) = self.sweep_host(&host, &seen).await {
                tracing::warn!(host = %host.name, "removing what was left there: {error}");
            }
        }
    }

    async fn sweep_host(&self, host: &Host, seen: &Observation) -> Result<(), RuntimeError> {
        let dead = host.is_dead();
        let elsewhere: Vec<&InstanceKey> =
            seen.instances.keys().filter(|key| self.is_leftover(key, host)).collect();
        let mut leases: BTreeSet<&str> = elsewhere.iter().map(|key| key.lease.as_str()).collect();
        if dead {
            leases.extend(seen.leases_with_volumes.iter().map(String::as_str));
        }
        for lease in leases {
            if self.placements.has_lease_on(lease, &host.name) && dead {
                // Not placed anew yet.
                continue;
            }
            if self.placements.has_lease_on(lease, &host.name) {
                for key in elsewhere.iter().filter(|key| key.lease == lease) {
                    host.engine.remove_instance(key).await?;
                }
            } else {
                host.engine.remove_lease(lease).await?;
            }
            tracing::info!(host = %host.name, %lease, "what was left there is removed");
        }
        Ok(())
    }

    /// It has its place on another machine, and is seen to serve there unless
    /// this one was given up.
    fn is_leftover(&self, key: &InstanceKey, host: &Host) -> bool {
        let Some(place) = self.placements.host_of(key) else { return false };
        if place == host.name {
            return false;
        }
        let serves = |name: &str| {
            let last = self.host(name).filter(|host| host.answers()).and_then(|host| host.last());
            last.and_then(|last| last.instances.get(key).map(|one| one.is_serving()))
        };
        host.is_dead() || serves(&place) == Some(true)
    }
}

fn declared(entry: &HostEntry) -> Option<[Option<u64>; 3]> {
    let declared = entry.declared;
    Some([
        declared.cpu.map(|cpu| cpu.0),
        declared.memory.map(|size| size.0),
        declared.storage.map(|size| size.0),
    ])
}

/// Greets a machine for as long as it is one of the fleet's.
async fn greet(fleet: Arc<Fleet>, host: Arc<Host>) {
    while is_current(&fleet, &host) {
        let greeted = host.engine.greet().await;
        if host.note(greeted) {
            match host.silence() {
                None => {
                    tracing::info!(host = %host.name, "the machine answers");
                    fleet.tell("a machine answers");
                }
                Some((why, _)) => {
                    tracing::error!(
                        host = %host.name,
                        "the machine does not answer; what runs there is unknown until it does, \
                         or until `stoa-provider hosts dead {}`: {why}",
                        host.name
                    );
                    fleet.tell("a machine fell silent");
                }
            }
        }
        tokio::time::sleep(GREET_EVERY).await;
    }
}

/// Passes a machine's events on.
async fn pump(fleet: Arc<Fleet>, host: Arc<Host>) {
    while is_current(&fleet, &host) {
        let mut events = host.engine.events();
        while let Some(Ok(event)) = events.next().await {
            let _ = fleet.events.send(event);
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

pub(super) fn is_current(fleet: &Fleet, host: &Arc<Host>) -> bool {
    fleet.host(&host.name).is_some_and(|current| Arc::ptr_eq(&current, host))
}
