//! What engines do for tenants by themselves, as attributes of the provider's
//! record: orders may require them. Only what all machines have is told.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use stoa_client::proto::types::v1::Attribute;

use crate::config::Config;
use crate::fleet::RemoteBackend;
use crate::hosts::{self, Authority, HostOrder, RosterFile};
use crate::runtime::{Backend, DockerBackend, Inventory};

/// Writable layers are bounded by the engine.
const STORAGE_QUOTA: &str = "storage-quota";
/// Container root is not the host's root.
const USER_NAMESPACES: &str = "user-namespaces";
/// Workloads run in gVisor.
const GVISOR: &str = "gvisor";
pub(super) const KEYS: [&str; 3] = [STORAGE_QUOTA, USER_NAMESPACES, GVISOR];
pub(super) const TRUE: &str = "true";

const ENGINE_TIMEOUT: Duration = Duration::from_secs(20);

/// Which of [`KEYS`] hold on all machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Features(BTreeMap<&'static str, bool>);

impl Features {
    /// Of machines; none: nothing holds.
    pub(super) fn of(machines: &[Inventory]) -> Self {
        let all = |has: fn(&Inventory) -> bool| !machines.is_empty() && machines.iter().all(has);
        Self(BTreeMap::from([
            (STORAGE_QUOTA, all(|machine| machine.storage_quota)),
            (USER_NAMESPACES, all(|machine| machine.user_namespaces)),
            (GVISOR, all(|machine| machine.gvisor)),
        ]))
    }

    pub(super) fn hold(&self, key: &str) -> bool {
        self.0.get(key).copied().unwrap_or(false)
    }
}

/// Asks the engines of all machines that are used. An error where one of them
/// does not say.
pub(super) async fn ask(config: &Config, provider: &str) -> anyhow::Result<Features> {
    let asked = tokio::time::timeout(ENGINE_TIMEOUT, machines(config, provider));
    Ok(Features::of(&asked.await.context("no answer in time")??))
}

async fn machines(config: &Config, provider: &str) -> anyhow::Result<Vec<Inventory>> {
    let dir = hosts::directory(&config.data_dir);
    let roster = RosterFile::new(&dir).read()?;
    let mut machines = vec![];
    if roster.local != HostOrder::Dead {
        let local = DockerBackend::connect(config.runtime(provider)?).await?;
        machines.push(local.inventory().await?);
    }
    let (identity, authority) = Authority::files(&dir);
    for (name, entry) in roster.hosts.iter().filter(|(_, host)| host.order != HostOrder::Dead) {
        let remote = RemoteBackend::new(name, provider, entry, &identity, &authority)
            .with_context(|| format!("the machine {name}"))?;
        machines.push(remote.inventory().await?);
    }
    anyhow::ensure!(!machines.is_empty(), "no machine is used: see `stoa-provider hosts list`");
    Ok(machines)
}

/// The attributes that the chain should have: the operator's own, and what the
/// engines do. What the operator says of these stands; where the engines could
/// not be asked, the record's.
pub(super) fn attributes(
    config: &Config,
    features: Option<&Features>,
    record: &[Attribute],
) -> BTreeMap<String, String> {
    let recorded = |key: &str| record.iter().find(|attribute| attribute.key == key);
    let mut all = BTreeMap::new();
    for key in KEYS {
        let value = match features {
            Some(features) => features.hold(key).then(|| TRUE.to_owned()),
            None => recorded(key).map(|attribute| attribute.value.clone()),
        };
        all.extend(value.map(|value| (key.to_owned(), value)));
    }
    all.extend(config.attributes.clone());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{config, machine};

    fn told(config: &Config, machines: &[Inventory]) -> Vec<(String, String)> {
        attributes(config, Some(&Features::of(machines)), &[]).into_iter().collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    /// None of the three was ever told, whatever the engines did.
    #[test]
    fn what_all_engines_do_is_an_attribute_and_what_one_lacks_is_none() {
        let mut config = config();
        config.attributes = BTreeMap::from([pair("region", "athens")]);
        let plain = machine();
        let able =
            Inventory { storage_quota: true, user_namespaces: true, gvisor: true, ..machine() };
        let quota = Inventory { storage_quota: true, ..machine() };
        let region = [pair("region", "athens")];
        assert_eq!(told(&config, std::slice::from_ref(&plain)), region);
        assert_eq!(told(&config, &[able.clone(), plain]), region);
        assert_eq!(told(&config, &[]), region, "nobody does it");
        let quota_told = pair("storage-quota", "true");
        let [region] = region;
        assert_eq!(told(&config, &[able.clone(), quota]), [region.clone(), quota_told.clone()]);
        let all = [pair("gvisor", "true"), region, quota_told, pair("user-namespaces", "true")];
        assert_eq!(told(&config, std::slice::from_ref(&able)), all);
        // The operator would rather not.
        config.attributes = BTreeMap::from([pair("gvisor", "false")]);
        assert_eq!(told(&config, &[able])[0], pair("gvisor", "false"));
    }

    #[test]
    fn engines_that_cannot_be_asked_change_nothing_on_chain() {
        let mut config = config();
        config.attributes = BTreeMap::from([pair("region", "athens")]);
        let attribute = |(key, value): (String, String)| Attribute { key, value };
        let record = [pair("gvisor", "true"), pair("tier", "old")].map(attribute);
        let told: Vec<_> = attributes(&config, None, &record).into_iter().collect();
        assert_eq!(told, [pair("gvisor", "true"), pair("region", "athens")]);
    }
}
