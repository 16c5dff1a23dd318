//! What is known of deployments and providers, kept over restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use stoa_manifest::Manifest;
use stoa_tunnel::overlay::is_endpoint;

use super::addresses::Slots;
use super::limits::admitted;
use super::roots::OwnRoots;
use super::rules::Rule;
use super::{Credentials, Deployments, Joined, Told};
use crate::store;

/// Of one provider.
const MAX_ENDPOINTS: usize = 8;

/// All of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) deployments: Deployments,
    /// By address; others than this one.
    pub(super) providers: BTreeMap<String, KnownProvider>,
    pub(super) credentials: Credentials,
    #[serde(default)]
    pub(super) own_roots: OwnRoots,
    /// Which virtual address each name has, by lease and service: it stays
    /// while the name does.
    pub(super) slots: BTreeMap<String, Slots>,
    /// What could not be joined, in words.
    #[serde(skip)]
    pub(super) problems: Vec<String>,
    #[serde(skip)]
    pub(super) told: Vec<Told>,
    /// What is on disk.
    #[serde(skip)]
    saved: Vec<u8>,
}

/// A deployment with a live lease here.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct KnownDeployment {
    /// The version on chain, in hex, as it was when this was noted.
    version: String,
    /// By the manifests that count now.
    rules: Vec<Rule>,
    /// Of the version before, until a time of the chain.
    earlier: Vec<(u64, Vec<Rule>)>,
    /// What its manifests declare beyond the bounds, in words: it is left out.
    #[serde(skip)]
    pub(super) beyond: BTreeSet<String>,
    /// Its live leases, this provider's included.
    pub(super) leases: Vec<KnownLease>,
}

/// A live lease.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct KnownLease {
    /// The id as text.
    pub(super) lease: String,
    pub(super) group: String,
    pub(super) provider: String,
}

/// Another provider.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownProvider {
    /// DER, in hex: as many as the chain says vouch for it now.
    pub(super) roots: Vec<String>,
    /// `host:port` of its data plane; empty until it has told.
    pub(super) endpoints: Vec<String>,
}

/// Of what a provider says of itself, that which a data plane takes: one word
/// that it does not take would keep it from all tables.
pub(super) fn dialable(mut endpoints: Vec<String>) -> Vec<String> {
    endpoints.retain(|endpoint| is_endpoint(endpoint));
    endpoints.truncate(MAX_ENDPOINTS);
    endpoints
}

impl State {
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => anyhow::bail!("{}: {error}", path.display()),
        };
        let mut state: Self = serde_json::from_slice(&bytes).map_err(|error| {
            anyhow::anyhow!("{}: {error}; removing it makes all tunnels anew", path.display())
        })?;
        for known in state.providers.values_mut() {
            known.endpoints = dialable(std::mem::take(&mut known.endpoints));
        }
        state.saved = bytes;
        Ok(state)
    }

    /// Writes it where it has changed.
    pub(super) fn save(&mut self, path: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(self)?;
        if bytes != self.saved {
            store::write(path, &bytes)?;
            self.saved = bytes;
        }
        Ok(())
    }
}

impl KnownDeployment {
    pub(super) fn has_rules(&self) -> bool {
        self.all_rules().next().is_some()
    }

    /// The rules that hold: of the manifests that count, and for a while of
    /// those before.
    pub(super) fn all_rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().chain(self.earlier.iter().flat_map(|(_, rules)| rules))
    }

    /// Takes in what the deployment's leases here run and are to run.
    pub(super) fn note_manifests(&mut self, joined: &[&Joined<'_>], time: u64, overlap: u64) {
        let groups: BTreeSet<&str> =
            joined.iter().map(|joined| joined.lease.spec.name.as_str()).collect();
        let manifests = joined.iter().flat_map(|joined| &joined.manifests);
        let manifests: BTreeMap<&str, &Manifest> =
            manifests.map(|stored| (stored.version.as_str(), &stored.manifest)).collect();
        let (mut now, mut beyond) = (BTreeSet::new(), BTreeSet::new());
        for manifest in manifests.values() {
            let (rules, words) = admitted(manifest, &groups);
            now.extend(rules);
            beyond.extend(words);
        }
        let now: Vec<Rule> = now.into_iter().collect();
        self.beyond = beyond;
        let version = joined.first().map(|joined| joined.lease.version()).unwrap_or_default();
        if !self.version.is_empty() && version != self.version && overlap > 0 {
            let until = time.saturating_add(overlap);
            self.earlier.push((until, std::mem::take(&mut self.rules)));
        }
        self.version = version;
        self.rules = now;
        self.earlier.retain(|(until, rules)| *until > time && !rules.is_empty());
        // One version before the present one counts, not all that ever were.
        let surplus = self.earlier.len().saturating_sub(1);
        self.earlier.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::chain::LeaseView;
    use crate::store::StoredManifest;
    use crate::tests_support::{lease_view, manifest, order};

    fn stored(exposed_to: &str) -> Arc<StoredManifest> {
        let sdl = format!(
            r#"
version: "2.0"
services:
  web: {{image: nginx, expose: [{{port: 80, to: [{{global: true}}]}}]}}
  api: {{image: api, expose: [{{port: 9, to: [{{service: {exposed_to}}}]}}]}}
profiles:
  compute: {{one: {{resources: {{cpu: {{units: 1}}, memory: {{size: 64Mi}}, storage: {{size: 64Mi}}}}}}}}
  placement: {{here: {{pricing: {{one: {{denom: ustoa, amount: 1}}}}}}}}
deployment:
  web: {{here: {{profile: one, count: 1}}}}
  api: {{here: {{profile: one, count: 1}}}}
"#
        );
        StoredManifest::new("x", b"x", manifest(&sdl))
    }

    fn froms(known: &KnownDeployment) -> Vec<&str> {
        known.all_rules().map(|rule| rule.from.service.as_str()).collect()
    }

    #[test]
    fn a_rule_of_the_version_before_holds_until_the_overlap_ends() {
        let mut lease = lease_view(&order(1));
        lease.deployment.version = vec![1];
        let mut known = KnownDeployment::default();
        let note = |known: &mut KnownDeployment, lease: &LeaseView, service: &str, time| {
            let joined = Joined { lease, manifests: vec![stored(service)] };
            known.note_manifests(&[&joined], time, 600);
        };
        note(&mut known, &lease, "web", 1_000);
        assert_eq!(froms(&known), ["web"]);
        lease.deployment.version = vec![2];
        note(&mut known, &lease, "api", 2_000);
        assert_eq!(froms(&known), ["api", "web"]);
        note(&mut known, &lease, "api", 2_599);
        assert_eq!(froms(&known), ["api", "web"]);
        note(&mut known, &lease, "api", 2_600);
        assert_eq!(froms(&known), ["api"]);
    }

    #[test]
    fn of_a_peers_endpoints_those_are_kept_that_can_be_dialled_also_from_disk() {
        let said = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let long = format!("{}:1", "a".repeat(300));
        let bad = ["a:0", ":1", "x:y", "nothing", "a:65536", "a b:1", "\u{1b}[2J:1", &long];
        assert!(dialable(said(&bad)).is_empty());
        let mixed = said(&[&bad[..], &["[2001:db8::1]:8444", "p.example:8444"]].concat());
        let good = ["[2001:db8::1]:8444", "p.example:8444"];
        assert_eq!(dialable(mixed.clone()), good);
        let many: Vec<String> = (1..100).map(|port| format!("a:{port}")).collect();
        assert_eq!(dialable(many.clone()), many[..MAX_ENDPOINTS]);

        // As a version that looked less closely has left it.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("overlay.json");
        let mut state = State::default();
        let known = KnownProvider { roots: vec![], endpoints: mixed };
        state.providers.insert("p".into(), known);
        state.save(&path).unwrap();
        assert_eq!(State::load(&path).unwrap().providers["p"].endpoints, good);
    }

    #[test]
    fn the_state_survives_a_restart_in_a_private_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("overlay.json");
        let mut state = State::load(&path).unwrap();
        state.providers.insert("p".into(), KnownProvider::default());
        state.save(&path).unwrap();
        assert_eq!(State::load(&path).unwrap().providers, state.providers);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, b"{").unwrap();
        assert!(State::load(&path).unwrap_err().to_string().contains("overlay.json"));
    }
}
