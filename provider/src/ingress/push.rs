//! Keeps the data plane's table what it should be. Pushing is a task of its
//! own, so that a data plane which does not answer holds nothing up.

use std::collections::BTreeMap;
use std::time::Duration;

use stoa_tunnel::routes::{Route, RouteTable};
use stoa_tunnel::ControlError;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::process::DataPlane;
use super::table::{build, Service, Table};
use crate::config::Config;
use crate::failpoint::failpoint;
use crate::runtime::Observation;

/// The data plane is looked after this often even if nothing changes.
const CHECK: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);
const HTTP_PORT: u16 = 80;

/// The ingress as the daemon wants it.
pub struct Ingress {
    domain: String,
    port: u16,
    wanted: watch::Sender<Option<Vec<Route>>>,
    /// Who has which chosen host name.
    holders: BTreeMap<String, String>,
    hosts: BTreeMap<(String, String), Vec<String>>,
    refused: Vec<(String, String)>,
    pusher: JoinHandle<()>,
}

impl Drop for Ingress {
    fn drop(&mut self) {
        self.pusher.abort();
    }
}

impl Ingress {
    /// Starts looking after the data plane. Needs a tokio runtime.
    pub fn start(config: &Config) -> Self {
        let (wanted, table) = watch::channel(None);
        let pusher = Pusher { plane: DataPlane::new(config), wanted: table, pushed: None };
        Self {
            domain: config.ingress.domain.to_ascii_lowercase(),
            port: config.public_port(),
            wanted,
            holders: BTreeMap::new(),
            hosts: BTreeMap::new(),
            refused: vec![],
            pusher: tokio::spawn(pusher.run()),
        }
    }

    /// Where a lease's services answer.
    pub fn uris(&self, lease: &str) -> BTreeMap<String, Vec<String>> {
        let own = self.hosts.iter().filter(|((of, _), _)| of == lease);
        own.map(|((_, service), hosts)| (service.clone(), self.uris_of(hosts))).collect()
    }

    fn uris_of(&self, hosts: &[String]) -> Vec<String> {
        let uri = |host: &String| match self.port {
            HTTP_PORT => format!("http://{host}"),
            port => format!("http://{host}:{port}"),
        };
        hosts.iter().map(uri).collect()
    }

    /// Says what is to be served now.
    pub fn update(&mut self, services: &[Service], seen: &Observation) {
        let table = build(services, seen, &self.domain, &self.holders);
        self.remember(services, &table);
        let routes = Some(table.routes);
        self.wanted.send_if_modified(|wanted| {
            let changed = *wanted != routes;
            *wanted = routes;
            changed
        });
    }

    fn remember(&mut self, services: &[Service], table: &Table) {
        self.holders.retain(|_, holder| services.iter().any(|s| s.lease == *holder));
        for ((lease, _), hosts) in &table.hosts {
            for host in hosts {
                self.holders.insert(host.clone(), lease.clone());
            }
        }
        self.hosts = table.hosts.clone();
        for refused in table.refused.iter().filter(|refused| !self.refused.contains(refused)) {
            let (lease, host) = refused;
            tracing::warn!(%lease, %host, "host name refused: it is another's");
        }
        self.refused = table.refused.clone();
    }
}

/// The task that pushes.
struct Pusher {
    plane: DataPlane,
    wanted: watch::Receiver<Option<Vec<Route>>>,
    /// The table that the data plane has, as far as is known.
    pushed: Option<Vec<Route>>,
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
    async fn look_after(&mut self, wanted: Option<Vec<Route>>) -> anyhow::Result<()> {
        if self.plane.ensure().await? {
            self.pushed = None;
        }
        match wanted {
            Some(routes) if self.pushed.as_ref() != Some(&routes) => self.push(routes).await,
            _ => Ok(()),
        }
    }

    async fn push(&mut self, routes: Vec<Route>) -> anyhow::Result<()> {
        let client = self.plane.client();
        let mut table = RouteTable { generation: client.status().await?.generation + 1, routes };
        match client.set_routes(&table).await {
            Err(ControlError::Stale { current }) => {
                table.generation = current + 1;
                client.set_routes(&table).await?;
            }
            other => other?,
        }
        failpoint("ingress.after_push");
        let targets: usize = table.routes.iter().map(|route| route.targets.len()).sum();
        tracing::info!(routes = table.routes.len(), targets, "routes pushed");
        self.pushed = Some(table.routes);
        Ok(())
    }
}
