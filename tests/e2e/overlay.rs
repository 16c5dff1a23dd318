//! Services at two providers, joined by a tunnel that they know nothing of.

use std::time::Duration;

use anyhow::{ensure, Context, Result};
use serde_json::Value;
use stoa_localnet::{engine, Provider};

use crate::world::{demo_file, eventually, Deployed, Tenant, World};

/// How long a connection may take to come, or to come back.
const JOINS: Duration = Duration::from_secs(30);
/// A lease that is closed in one block is seen in the next; the rest is for a busy machine.
const GOES: Duration = Duration::from_secs(60);

const VISITS: &str = "/cgi-bin/visits";

/// Opens a connection to the API, and asks over it once it is told to.
const LONG_CONNECTION: &str = "cd /dev/shm; (while [ ! -e go ]; do sleep 0.1; done; \
     printf 'GET /health HTTP/1.0\\r\\n\\r\\n'; sleep 5) | busybox nc api 80 >out 2>&1 &";

pub async fn services_at_two_providers_reach_each_other_by_name_and_nobody_else_does(
    world: World,
) -> Result<()> {
    let tenant = world.new_tenant("weaver").await?;
    let app = Joined {
        deployed: tenant.deploy(&demo_file("app-v1.yaml")?).await?,
        world: world.clone(),
        tenant,
    };
    app.web_reaches_the_api("the deployment").await?;
    app.both_ends_are_told().await?;
    app.the_bystander_is_refused().await?;
    app.a_connection_outlives_the_daemons().await?;
    app.data_planes_come_back().await?;
    app.links_heal().await?;
    app.closing_ends_it().await
}

struct Joined {
    world: World,
    tenant: Tenant,
    deployed: Deployed,
}

impl Joined {
    async fn web_reaches_the_api(&self, after: &str) -> Result<()> {
        let web = self.world.site(&self.deployed, "web")?;
        eventually(&format!("the web tier reaches the API after {after}"), JOINS, || async {
            Ok(web.get_once(VISITS).await?.contains("\"service\":\"api\""))
        })
        .await
    }

    async fn both_ends_are_told(&self) -> Result<()> {
        eventually("both ends of the tunnel are up", JOINS, || async {
            let told = self.tenant.client.json(&["net", &self.deployed.dseq]).await?;
            let ends = told.as_array().into_iter().flatten();
            let ends = ends.filter_map(|one| one["connections"].as_array()).flatten();
            let states: Vec<&Value> = ends.map(|end| &end["state"]).collect();
            Ok(states.len() == 2 && states.iter().all(|s| **s == "CONNECTION_STATE_UP"))
        })
        .await?;
        let args = ["net", &self.deployed.dseq, "--certificates"];
        let shown = self.tenant.client.text(&args).await?;
        let signed = shown.matches("signed by the root on chain").count();
        ensure!(signed == 2 && shown.contains(".tunnel.stoa.invalid"), "{shown}");
        Ok(())
    }

    /// A workload at the API's own provider that no rule names.
    async fn the_bystander_is_refused(&self) -> Result<()> {
        let address = self.exec("api", "hostname -i").await?;
        let address = address.split_whitespace().next().context("the API has no address")?;
        let gateway = self.lease_of("api")?.provider.clone();
        let gateway = self.world.provider_at(&gateway)?.gateway;
        for url in ["http://api/health", &format!("http://{address}:8080/health"), &gateway] {
            let line = format!("busybox timeout 5 wget -q -O - {url}");
            let answer = self.exec("bystander", &line).await;
            ensure!(answer.is_err(), "the bystander reached {url}: {answer:?}");
        }
        Ok(())
    }

    async fn a_connection_outlives_the_daemons(&self) -> Result<()> {
        self.exec("web", LONG_CONNECTION).await?;
        let network = self.world.network();
        for provider in self.providers()? {
            network.kill(&provider.name)?;
            network.start_one(&provider.name, &[])?;
            network.wait_for_provider(&provider.name).await?;
        }
        self.exec("web", "touch /dev/shm/go").await?;
        eventually("a connection from before the restarts is answered", JOINS, || async {
            Ok(self.exec("web", "cat /dev/shm/out").await?.contains("200 OK"))
        })
        .await
    }

    async fn data_planes_come_back(&self) -> Result<()> {
        let network = self.world.network();
        for provider in self.providers()? {
            network.kill(&provider.tunnel_name)?;
            network.start_one(&provider.tunnel_name, &[])?;
            self.web_reaches_the_api(&format!("{} was killed", provider.tunnel_name)).await?;
        }
        Ok(())
    }

    /// A link container that restarts has another namespace, without what was listened on.
    async fn links_heal(&self) -> Result<()> {
        let docker = engine::connect().await?;
        for lease in &self.deployed.leases {
            let mut containers = self.world.containers(lease).await?;
            containers.retain(|one| one.labels.get("stoa.role").is_some_and(|role| role == "link"));
            ensure!(!containers.is_empty(), "{} has no link", lease.lease);
            for link in containers {
                docker.restart_container(&link.id, None).await?;
            }
            self.web_reaches_the_api(&format!("the links of {} restarted", lease.lease)).await?;
        }
        Ok(())
    }

    async fn closing_ends_it(&self) -> Result<()> {
        let providers = self.providers()?;
        self.tenant.close(&self.deployed).await?;
        eventually("the tunnels go with the leases", GOES, || async {
            Ok(providers.iter().all(|provider| !self.has_tunnel(provider)))
        })
        .await
    }

    /// Whether a data plane's table has a tunnel of the deployment.
    fn has_tunnel(&self, provider: &Provider) -> bool {
        let table = std::fs::read_to_string(provider.home.join("tunnel/routes.json"));
        let mark = format!("stoa-tunnel/1 {}/{}/", self.tenant.address, self.deployed.dseq);
        table.is_ok_and(|table| table.contains(&mark))
    }

    fn providers(&self) -> Result<Vec<Provider>> {
        self.deployed.leases.iter().map(|lease| self.world.provider_at(&lease.provider)).collect()
    }

    fn lease_of(&self, service: &str) -> Result<&crate::world::Leased> {
        let mut leases = self.deployed.leases.iter();
        let found = leases.find(|lease| lease.services.iter().any(|one| one.name == service));
        found.with_context(|| format!("no lease has a service {service}"))
    }

    async fn exec(&self, service: &str, line: &str) -> Result<String> {
        let args = ["exec", &self.deployed.dseq, service, "--", "sh", "-c", line];
        self.tenant.client.text(&args).await
    }
}
