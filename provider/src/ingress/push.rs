//! Keeps the data plane's table what it should be.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stoa_tunnel::routes::{Route, RouteTable};
use stoa_tunnel::ControlError;

use super::process::DataPlane;
use super::table::{build, Service, Table};
use crate::config::Config;
use crate::failpoint::failpoint;
use crate::runtime::Observation;

/// The data plane is looked after this often even if nothing changes.
const CHECK: Duration = Duration::from_secs(5);
const HTTP_PORT: u16 = 80;

/// The ingress as the daemon wants it.
pub struct Ingress {
    plane: DataPlane,
    domain: String,
    port: u16,
    /// The table that the data plane has, as far as is known.
    pushed: Option<Vec<Route>>,
    checked_at: Option<Instant>,
    /// Who has which chosen host name.
    holders: BTreeMap<String, String>,
    hosts: BTreeMap<(String, String), Vec<String>>,
    refused: Vec<(String, String)>,
}

impl Ingress {
    pub fn new(config: &Config) -> Self {
        Self {
            plane: DataPlane::new(config),
            domain: config.ingress.domain.to_ascii_lowercase(),
            port: config.public_port(),
            pushed: None,
            checked_at: None,
            holders: BTreeMap::new(),
            hosts: BTreeMap::new(),
            refused: vec![],
        }
    }

    /// Finds or starts the data plane.
    pub async fn ensure(&self) -> anyhow::Result<bool> {
        self.plane.ensure().await
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

    /// Brings the data plane's table up to date. What fails is tried again
    /// at the next look.
    pub async fn update(&mut self, services: &[Service], seen: &Observation) {
        let table = build(services, seen, &self.domain, &self.holders);
        self.remember(services, &table);
        let due = self.checked_at.is_none_or(|at| at.elapsed() > CHECK);
        let changed = self.pushed.as_ref() != Some(&table.routes);
        if !due && !changed {
            return;
        }
        self.checked_at = Some(Instant::now());
        match self.push(table.routes).await {
            Ok(()) => failpoint("ingress.after_push"),
            Err(error) => {
                self.pushed = None;
                tracing::warn!("routes: {error:#}");
            }
        }
    }

    fn remember(&mut self, services: &[Service], table: &Table) {
        self.holders.retain(|_, holder| services.iter().any(|s| s.lease == *holder));
        for ((lease, _), hosts) in &table.hosts {
            for host in hosts {
                self.holders.insert(host.clone(), lease.clone());
            }
        }
        self.hosts = table.hosts.clone();
        for (lease, host) in &table.refused {
            if !self.refused.contains(&(lease.clone(), host.clone())) {
                tracing::warn!(%lease, %host, "host name refused: it is another's");
            }
        }
        self.refused = table.refused.clone();
    }

    async fn push(&mut self, routes: Vec<Route>) -> anyhow::Result<()> {
        let started = self.plane.ensure().await?;
        if !started && self.pushed.as_ref() == Some(&routes) {
            return Ok(());
        }
        let client = self.plane.client();
        let mut table = RouteTable { generation: client.status().await?.generation + 1, routes };
        match client.set_routes(&table).await {
            Err(ControlError::Stale { current }) => {
                table.generation = current + 1;
                client.set_routes(&table).await?;
            }
            other => other?,
        }
        let targets: usize = table.routes.iter().map(|route| route.targets.len()).sum();
        tracing::info!(routes = table.routes.len(), targets, "routes pushed");
        self.pushed = Some(table.routes);
        Ok(())
    }
}
