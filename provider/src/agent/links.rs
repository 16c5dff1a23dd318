//! The data plane of this machine's links: what workloads here look up and
//! dial. The daemon hands its table over; it is kept on disk and in force
//! whether the daemon is there or not, and follows links that restart.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stoa_tunnel::overlay::OverlayTable;
use stoa_tunnel::routes::RouteTable;
use tokio::sync::{watch, Notify};

use super::settings::AgentDir;
use crate::fleet::{digest, OverlaySaid};
use crate::ingress::DataPlane;
use crate::runtime::{Observation, ObservedInstance};
use crate::store;

/// Its directory in the agent's.
const DIRECTORY: &str = "links";
/// The table as the daemon gave it, keys included.
const TABLE: &str = "overlay.json";
/// It is looked after this often.
const EVERY: Duration = Duration::from_secs(2);

/// What was observed last; none before the first time.
pub(super) type Seen = watch::Receiver<Option<Arc<Observation>>>;

pub(super) struct Links {
    process: DataPlane,
    path: PathBuf,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    table: Option<Arc<OverlayTable>>,
    digest: String,
    problem: String,
}

impl Links {
    /// Goes on with what the daemon gave last.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub(super) fn open(agent: &AgentDir, program: Option<&Path>) -> io::Result<Self> {
        let dir = agent.path(DIRECTORY);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let path = dir.join(TABLE);
        let state = match read(&path) {
            Ok(Some(table)) => {
                State { digest: digest(&table), table: Some(table.into()), ..State::default() }
            }
            Ok(None) => State::default(),
            Err(problem) => {
                // The daemon sees that it is not there, and gives it anew.
                tracing::warn!("{}: {problem}", path.display());
                State::default()
            }
        };
        let process = DataPlane::of_links(program, &dir);
        Ok(Self { process, path, state: Mutex::new(state), changed: Notify::new() })
    }

    /// Takes a table in place of the one before.
    ///
    /// # Errors
    /// Why not, in words.
    pub(super) fn set(&self, table: OverlayTable) -> Result<(), String> {
        table.validate()?;
        if !table.listen.is_empty() || !table.incoming.is_empty() {
            return Err("nothing is served on a further machine".into());
        }
        let bytes = serde_json::to_vec(&table).map_err(|error| error.to_string())?;
        store::write(&self.path, &bytes).map_err(|e| format!("{}: {e}", self.path.display()))?;
        let mut state = self.state();
        state.digest = digest(&table);
        state.table = Some(table.into());
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// How it is now.
    pub(super) async fn said(&self) -> OverlaySaid {
        let status = self.process.client().status().await.ok();
        let state = self.state();
        OverlaySaid { digest: state.digest.clone(), status, problem: state.problem.clone() }
    }

    /// Keeps the data plane running and its table what it should be, for ever.
    pub(super) async fn keep(self: Arc<Self>, mut seen: Seen) {
        let mut pushed = None;
        loop {
            let observed = seen.borrow_and_update().clone();
            let problem = match self.look_after(&mut pushed, observed.as_deref()).await {
                Ok(()) => String::new(),
                Err(error) => {
                    pushed = None;
                    format!("{error:#}")
                }
            };
            self.note_problem(problem);
            tokio::select! {
                () = self.changed.notified() => {}
                Ok(()) = seen.changed() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    fn note_problem(&self, problem: String) {
        let mut state = self.state();
        if state.problem != problem && !problem.is_empty() {
            tracing::warn!("links: {problem}");
        }
        state.problem = problem;
    }

    async fn look_after(
        &self,
        pushed: &mut Option<OverlayTable>,
        seen: Option<&Observation>,
    ) -> anyhow::Result<()> {
        if self.process.ensure().await? {
            *pushed = None;
        }
        let table = self.state().table.clone();
        // Until something is observed it goes on with what it had itself.
        let Some((table, seen)) = table.zip(seen) else { return Ok(()) };
        let table = as_seen(&table, seen);
        if pushed.as_ref() == Some(&table) {
            return Ok(());
        }
        let overlay = Some(table.clone());
        self.process.push(RouteTable { overlay, ..RouteTable::default() }).await?;
        *pushed = Some(table);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Result<Option<OverlayTable>, String> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    // Not the error's own words: they may quote what is secret.
    serde_json::from_slice(&bytes).map(Some).map_err(|_| "it is no table of this version".into())
}

/// The table with each link's namespace as it is now. A link that is not
/// there, or whose network is another than the daemon saw, waits.
fn as_seen(table: &OverlayTable, seen: &Observation) -> OverlayTable {
    let by_name: BTreeMap<String, &ObservedInstance> =
        seen.instances.iter().map(|(key, instance)| (key.to_string(), instance)).collect();
    let mut table = table.clone();
    table.links.retain_mut(|link| {
        let found = by_name.get(&link.instance).and_then(|instance| {
            let (container, network) = instance.link.as_ref().zip(instance.network.as_ref())?;
            let same = network.link_address.is_some_and(|own| link.dns.ip() == own);
            same.then(|| container.netns.clone().map(|netns| (container.name.clone(), netns)))?
        });
        let Some((name, netns)) = found else { return false };
        (link.link, link.netns) = (name, netns);
        true
    });
    table
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use stoa_tunnel::overlay::{Credential, Link};

    use super::*;
    use crate::tests_support::{observed, service_goal};

    fn table(instance: &str, netns: &str) -> OverlayTable {
        let link = Link {
            instance: instance.into(),
            link: "old".into(),
            netns: netns.into(),
            prefix: 28,
            dns: "10.0.0.2:53".parse().unwrap(),
            egress: false,
            search: vec![],
            names: vec![],
            ports: vec![],
        };
        let credential = Credential { id: "c".into(), chain: "CHAIN".into(), key: "SECRET".into() };
        OverlayTable { links: vec![link], credentials: vec![credential], ..Default::default() }
    }

    #[test]
    fn a_link_follows_its_namespace_and_waits_where_it_has_none() {
        let spec = service_goal("web", 1, "a").instances.remove(0);
        let mut seen = Observation::default();
        seen.instances.insert(spec.key.clone(), observed(&spec, 1));
        let given = table(&spec.key.to_string(), "/run/netns/old");
        let now = as_seen(&given, &seen);
        assert_eq!(now.links[0].netns, PathBuf::from("/run/netns/x"));
        assert_eq!(now.links[0].link, "link");
        assert_eq!(now.credentials, given.credentials);

        let instance = seen.instances.get_mut(&spec.key).unwrap();
        instance.network.as_mut().unwrap().link_address = Some([10, 0, 0, 18].into());
        assert!(as_seen(&given, &seen).links.is_empty(), "another network than was told of");
        seen.instances.get_mut(&spec.key).unwrap().link.as_mut().unwrap().netns = None;
        assert!(as_seen(&given, &seen).links.is_empty());
        assert!(as_seen(&given, &Observation::default()).links.is_empty());
    }

    #[tokio::test]
    async fn a_table_is_kept_for_this_user_alone_and_told_by_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Links::open(&AgentDir::new(dir.path()), None).unwrap();
        assert_eq!(open().said().await.digest, "");
        let given = table("l/web[0]", "/run/netns/x");
        open().set(given.clone()).unwrap();
        let said = open().said().await;
        assert_eq!(said.digest, digest(&given));
        assert_ne!(said.digest, digest(&OverlayTable::default()));
        let path = dir.path().join(DIRECTORY).join(TABLE);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        // What serves, or could not be served, is refused and changes nothing.
        let serving = OverlayTable { listen: vec!["0.0.0.0:1".parse().unwrap()], ..given.clone() };
        assert!(open().set(serving).unwrap_err().contains("nothing is served"));
        assert!(open().set(table("l/web[0]", "relative")).unwrap_err().contains("absolute"));
        assert_eq!(open().said().await.digest, digest(&given));
        // Half a file is none.
        std::fs::write(&path, b"{").unwrap();
        assert_eq!(open().said().await.digest, "");
    }
}
