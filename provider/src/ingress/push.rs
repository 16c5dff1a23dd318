//! Keeps the data plane's table what it should be. Pushing is a task of its
//! own, so that a data plane which does not answer holds nothing up.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use stoa_client::proto::gateway::v1::{ForwardedPort, HostName};
use stoa_tunnel::control::Status as PlaneStatus;
use stoa_tunnel::overlay::OverlayTable;
use stoa_tunnel::routes::{RouteTable, Transport};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::claims::Claims;
use super::forwards::{self, Told};
use super::names::{Names, Standing, Standings};
use super::process::DataPlane;
use super::room;
use super::table::{build, chosen_names, may_choose, ChosenNames, Service};
use crate::config::Config;
use crate::failpoint::failpoint;
use crate::runtime::Observation;

/// The data plane is looked after this often even if nothing changes.
const CHECK: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// The ingress as the daemon wants it.
pub struct Ingress {
    config: Arc<Config>,
    domain: String,
    port: u16,
    wanted: watch::Sender<Option<Arc<RouteTable>>>,
    plane: watch::Receiver<Option<Said>>,
    claims: Claims,
    names: Names,
    /// What is told of the names that tenants have chosen.
    chosen: ChosenNames,
    standings: Standings,
    hosts: BTreeMap<(String, String), Vec<String>>,
    ports: BTreeMap<(String, String), Vec<Told>>,
    /// What is left out of the table, in words.
    problems: Vec<String>,
    pusher: JoinHandle<()>,
}

/// What the data plane says of itself while it has a table.
struct Said {
    table: Arc<RouteTable>,
    status: PlaneStatus,
}

/// Which leases keep what they were given.
#[derive(Debug, Default)]
pub struct Live {
    /// All that the chain has not positively ended.
    pub leases: BTreeSet<String>,
    /// Of these, those whose accepted manifest runs completely: what earlier
    /// ones had is given up.
    pub settled: BTreeSet<String>,
}

/// How a service is reached.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reach {
    pub uris: Vec<String>,
    pub ports: Vec<ForwardedPort>,
    pub names: Vec<HostName>,
}

impl Drop for Ingress {
    fn drop(&mut self) {
        self.pusher.abort();
    }
}

impl Ingress {
    /// Starts looking after the data plane. Needs a tokio runtime.
    pub fn start(config: &Arc<Config>) -> anyhow::Result<Self> {
        let claims = Claims::open(config)?;
        let (wanted, table) = watch::channel(None);
        let (status, plane) = watch::channel(None);
        let pusher = Pusher { plane: DataPlane::new(config), wanted: table, pushed: None, status };
        Ok(Self {
            config: Arc::clone(config),
            domain: config.ingress.domain.to_ascii_lowercase(),
            port: config.public_port(),
            wanted,
            plane,
            claims,
            names: Names::start(config)?,
            chosen: ChosenNames::new(),
            standings: Standings::new(),
            hosts: BTreeMap::new(),
            ports: BTreeMap::new(),
            problems: vec![],
            pusher: tokio::spawn(pusher.run()),
        })
    }

    /// What the data plane said last, if it has been asked.
    pub fn plane_status(&self) -> Option<PlaneStatus> {
        self.plane.borrow().as_ref().map(|said| said.status.clone())
    }

    /// How a lease's services are reached.
    pub fn reach(&self, lease: &str) -> BTreeMap<String, Reach> {
        let mut services: BTreeMap<String, Reach> = BTreeMap::new();
        for ((_, service), hosts) in self.hosts.iter().filter(|((of, _), _)| of == lease) {
            services.entry(service.clone()).or_default().uris = self.uris_of(hosts);
        }
        let plane = self.plane.borrow();
        for ((_, service), ports) in self.ports.iter().filter(|((of, _), _)| of == lease) {
            let reach = services.entry(service.clone()).or_default();
            reach.uris.extend(ports.iter().filter_map(|told| forwards::uri(&told.port)));
            reach.ports.extend(ports.iter().map(|told| with_problem(told, plane.as_ref())));
        }
        for ((_, service), hosts) in self.chosen.iter().filter(|((of, _), _)| of == lease) {
            let reach = services.entry(service.clone()).or_default();
            reach.names = hosts.iter().map(|host| self.name(lease, host)).collect();
        }
        services
    }

    /// Plain ones first, unless they lead to the others.
    fn uris_of(&self, hosts: &[String]) -> Vec<String> {
        let https = self.config.https.public_port();
        let plain = hosts.iter().map(|host| uri("http", host, self.port, HTTP_PORT));
        let plain = plain.filter(|_| https.is_none() || !self.config.https.redirect);
        let secure = https
            .into_iter()
            .flat_map(|port| hosts.iter().map(move |host| uri("https", host, port, HTTPS_PORT)));
        plain.chain(secure).collect()
    }

    fn name(&self, lease: &str, host: &str) -> HostName {
        let standing = self.standings.get(&(lease.to_owned(), host.to_owned())).cloned();
        let standing = standing.unwrap_or_else(|| {
            let words = match may_choose(host, &self.domain) {
                true => "not looked at yet".into(),
                false => format!("names under {} are the provider's to give", self.domain),
            };
            Standing { served: false, words }
        });
        HostName { name: host.into(), served: standing.served, message: standing.words }
    }

    /// Says what is to be served now.
    pub fn update(
        &mut self,
        services: &[Service],
        seen: &Observation,
        live: &Live,
        overlay: Option<OverlayTable>,
    ) {
        if let Err(error) = self.settle_claims(services, live) {
            tracing::error!("claims of ports and addresses: {error}");
        }
        self.settle_names(services, live);
        let serves = |lease: &str, host: &str| {
            let standing = self.standings.get(&(lease.to_owned(), host.to_owned()));
            standing.is_some_and(|standing| standing.served)
        };
        let mut table = build(services, seen, &self.domain, &serves);
        let mut forwarded = forwards::build(services, seen, &self.claims, &self.config);
        let mut problems = room::make(&mut table, &mut forwarded);
        self.hosts = table.hosts;
        self.ports = forwarded.told;
        let mut table = RouteTable {
            generation: 0,
            routes: table.routes,
            forwards: forwarded.forwards,
            addresses: forwarded.addresses,
            tls: self.config.https.settings(&self.domain),
            overlay,
        };
        // One part that the data plane refuses would cost all the others theirs.
        problems.extend(table.sift());
        self.tell(problems);
        self.wanted.send_if_modified(|wanted| {
            let changed = wanted.as_deref() != Some(&table);
            if changed {
                *wanted = Some(Arc::new(table));
            }
            changed
        });
    }

    /// Logs what the table cannot have, once.
    fn tell(&mut self, problems: Vec<String>) {
        let known = |problem: &&String| !self.problems.contains(problem);
        for problem in problems.iter().filter(known) {
            tracing::warn!("left out of the table: {problem}");
        }
        self.problems = problems;
    }

    /// Gives up what is over, and claims what is new.
    fn settle_claims(&mut self, services: &[Service], live: &Live) -> std::io::Result<()> {
        let wanted = forwards::wanted(services);
        let keeps = |lease: &String, is_wanted: bool| {
            live.leases.contains(lease) && (is_wanted || !live.settled.contains(lease))
        };
        self.claims.release(
            |key| keeps(&key.lease, wanted.ports.contains(key)),
            |key| keeps(&key.lease, wanted.ips.contains(key)),
        )?;
        if let Some(unbound) = self.unbound() {
            self.claims.learn(&unbound)?;
        }
        self.claims.claim(&wanted.ports, &wanted.ips)?;
        failpoint("ingress.after_claim");
        Ok(())
    }

    /// Ports that the data plane could not get of the table that is wanted;
    /// `None` where it has not tried all of it yet.
    fn unbound(&self) -> Option<HashSet<(Transport, u16)>> {
        let plane = self.plane.borrow();
        let listen = self.config.ports.listen;
        let wanted = self.wanted.borrow();
        let said = plane.as_ref().filter(|said| Some(&said.table) == wanted.as_ref())?;
        let own = said.status.unbound.iter().filter(|port| port.listen.ip() == listen);
        Some(own.map(|port| (port.transport, port.listen.port())).collect())
    }

    fn settle_names(&mut self, services: &[Service], live: &Live) {
        let (claims, chosen) = chosen_names(services, &self.domain);
        let keep = |lease: &str| live.leases.contains(lease) && !live.settled.contains(lease);
        self.standings = self.names.want(claims, keep);
        self.chosen = chosen;
    }
}

fn uri(scheme: &str, host: &str, port: u16, usual: u16) -> String {
    match port == usual {
        true => format!("{scheme}://{host}"),
        false => format!("{scheme}://{host}:{port}"),
    }
}

/// The task that pushes.
struct Pusher {
    plane: DataPlane,
    wanted: watch::Receiver<Option<Arc<RouteTable>>>,
    /// The table that the data plane has, as far as is known.
    pushed: Option<Arc<RouteTable>>,
    status: watch::Sender<Option<Said>>,
}

/// What the data plane says of a port.
fn with_problem(told: &Told, said: Option<&Said>) -> ForwardedPort {
    let mut port = told.port.clone();
    let failed = said.zip(told.listen).and_then(|(said, listen)| {
        said.status.unbound.iter().find(|port| (port.transport, port.listen) == listen)
    });
    if let Some(failed) = failed {
        port.problem = format!("the provider cannot listen there: {}", failed.error);
    }
    port
}

impl Pusher {
    async fn run(mut self) {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            let pause = match self.look_after(wanted).await {
                Ok(()) => CHECK,
                Err(error) => {
                    self.pushed = None;
                    tracing::warn!("routes: {error:#}");
                    RETRY
                }
            };
            tokio::select! {
                changed = self.wanted.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Finds or starts the data plane, and gives it the table that it does
    /// not have.
    async fn look_after(&mut self, wanted: Option<Arc<RouteTable>>) -> anyhow::Result<()> {
        if self.plane.ensure().await? {
            self.pushed = None;
        }
        let Some(table) = wanted else { return Ok(()) };
        if self.pushed.as_ref() != Some(&table) {
            self.push(Arc::clone(&table)).await?;
        }
        let status = self.plane.client().status().await?;
        self.status.send_replace(Some(Said { table, status }));
        Ok(())
    }

    async fn push(&mut self, wanted: Arc<RouteTable>) -> anyhow::Result<()> {
        self.plane.push(wanted.as_ref().clone()).await?;
        failpoint("ingress.after_push");
        let targets: usize = wanted.routes.iter().map(|route| route.targets.len()).sum();
        let (routes, ports) = (wanted.routes.len(), wanted.forwards.len());
        tracing::info!(routes, targets, ports, "routes pushed");
        self.pushed = Some(wanted);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{config, manifest};

    const SDL: &str = r#"
version: "2.0"
services:
  web:
    image: nginx
    expose:
      - {port: 8080, as: 80, accept: [shop.example, x.provider.example], to: [{global: true}]}
      - {port: 9000, to: [{global: true}]}
profiles:
  compute: {web: {resources: {cpu: {units: 1}, memory: {size: 64Mi}, storage: {size: 64Mi}}}}
  placement: {here: {pricing: {web: {denom: ustoa, amount: 1}}}}
deployment: {web: {here: {profile: web, count: 1}}}
"#;
    const LEASE: &str = "t/1/1/1/p";

    fn test_config(dir: &std::path::Path) -> Config {
        let mut config = config();
        config.data_dir = dir.into();
        config.ports.range = "20000-29000".into();
        config.ports.registry = dir.join("registry");
        config.host_names.verify = false;
        config.https.listen = Some(([127, 0, 0, 1], 8443).into());
        // What cannot be started is tried again, which is of no concern here.
        config.ingress.tunnel_binary = Some("/nonexistent/stoa-tunnel".into());
        config
    }

    #[tokio::test]
    async fn a_tenant_is_told_its_names_and_ports_and_loses_them_with_its_lease() {
        let dir = tempfile::tempdir().unwrap();
        let mut ingress = Ingress::start(&Arc::new(test_config(dir.path()))).unwrap();
        let manifest = manifest(SDL);
        let service = manifest.groups[0].services[0].clone();
        let services = [Service { lease: LEASE.into(), service }];
        let live = Live { leases: [LEASE.to_string()].into(), settled: BTreeSet::new() };
        let seen = Observation::default();
        let mut reach = Reach::default();
        for _ in 0..200 {
            ingress.update(&services, &seen, &live, None);
            reach = ingress.reach(LEASE)["web"].clone();
            if reach.names[0].served {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let [own, foreign] = &reach.names[..] else { panic!("{reach:?}") };
        assert!(own.served && own.message.is_empty(), "{own:?}");
        assert!(!foreign.served && foreign.message.contains("the provider's to give"));
        let [port] = &reach.ports[..] else { panic!("{reach:?}") };
        assert_eq!((port.port, port.host.as_str()), (9000, "provider.example"));
        let tcp = format!("tcp://provider.example:{}", port.host_port);
        for uri in ["http://shop.example", "https://shop.example:8443", tcp.as_str()] {
            assert!(reach.uris.contains(&uri.to_string()), "{uri} in {:?}", reach.uris);
        }
        assert!(!reach.uris.iter().any(|uri| uri.contains("x.provider.example")));
        assert!(reach.uris[0].starts_with("http://web-"), "{:?}", reach.uris);
        let table = ingress.wanted.borrow().clone().unwrap();
        assert_eq!((table.routes.len(), table.forwards.len()), (1, 1));
        assert!(table.tls.is_some() && table.validate().is_ok());

        // Its manifest cannot be read now: what it has stays its own.
        ingress.update(&[], &seen, &live, None);
        let claims = || std::fs::read_to_string(dir.path().join("ports.json")).unwrap();
        assert!(claims().contains(LEASE));
        ingress.update(&[], &seen, &Live::default(), None);
        assert!(!claims().contains(LEASE));
        assert!(ingress.reach(LEASE).is_empty());
        let hosts = std::fs::read_to_string(dir.path().join("hosts.json")).unwrap();
        assert!(!hosts.contains("shop.example"), "{hosts}");
    }

    #[tokio::test]
    async fn where_plain_http_redirects_only_https_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = test_config(dir.path());
        config.https.redirect = true;
        config.https.public_port = Some(443);
        let ingress = Ingress::start(&Arc::new(config)).unwrap();
        assert_eq!(ingress.uris_of(&["a.example".into()]), ["https://a.example"]);
    }
}
