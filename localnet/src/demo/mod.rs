//! `stoa-localnet demo`: the way of one deployment, from file to closed, shown as it happens.

mod book;
mod ingress;
mod ledger;
mod narrate;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{bail, ensure, Context, Result};
use serde::Deserialize;
use serde_json::Value;
use stoa_client::Chain;

use crate::{client::Client, engine, keys::TENANT, up::asked_to_end, Localnet, Options, State};
use book::Watcher;
pub use ingress::Site;
pub use ledger::{show, Changes, Holdings, ATOMS};
use narrate::Narrator;

/// Steps of the story.
const STEPS: u32 = 8;

/// What the pages of the two versions say.
const PAGES: [&str; 2] = ["Stoa demo shop, version 1", "Stoa demo shop, version 2"];

/// Where the demo's API counts its visits.
const VISITS: &str = "/cgi-bin/visits";

/// What the demo needs to know.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// The directory of app-v1.yaml, app-v2.yaml and their images.
    pub app: PathBuf,
    /// The network to make.
    pub network: Options,
}

/// Runs the demo. Everything that it made is gone when it returns, but for the logs where it
/// failed.
///
/// # Errors
/// What went wrong, with the ends of the logs that explain it.
pub async fn run(options: DemoOptions) -> Result<()> {
    let mut end = Box::pin(asked_to_end()?);
    let dir = options.network.dir.clone();
    let network = Arc::new(Localnet::prepare(options.network)?);
    let demo = Demo { network: Arc::clone(&network), app: options.app, tell: Narrator::new(STEPS) };
    let outcome = tokio::select! {
        outcome = demo.tell_all() => outcome,
        () = &mut end => Err(anyhow::anyhow!("interrupted")),
    };
    if let Err(error) = outcome {
        let explained = demo.explain();
        network.down()?;
        return Err(error.context(format!("{explained}\nall logs are in {}/logs", dir.display())));
    }
    std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
    println!("\nDEMO OK ({} s)", demo.tell.seconds());
    Ok(())
}

struct Demo {
    network: Arc<Localnet>,
    app: PathBuf,
    tell: Narrator,
}

/// What `stoa deploy -o json` and `stoa update -o json` print, as far as it is shown here.
#[derive(Debug, Deserialize)]
struct Deployed {
    deployment: String,
    dseq: String,
    version: String,
    leases: Vec<Leased>,
}

#[derive(Debug, Deserialize)]
struct Leased {
    group: String,
    provider: String,
    rate: String,
    version: String,
    services: Vec<Service>,
}

#[derive(Debug, Deserialize)]
struct Service {
    name: String,
    uris: Vec<Uri>,
}

#[derive(Debug, Deserialize)]
struct Uri {
    uri: String,
}

impl Demo {
    async fn tell_all(&self) -> Result<()> {
        self.start_network().await?;
        let chain = self.network.chain().await?;
        let tenant = self.client()?;
        let before = Holdings::now(&chain, &self.accounts()).await?;
        let deployed = self.deploy(&chain, &tenant).await?;
        let visits = self.visit(&deployed, PAGES[0]).await?;
        self.show_tunnel(&tenant, &deployed).await?;
        self.update(&tenant, &deployed, visits).await?;
        let paid = self.close(&tenant, &deployed).await?;
        self.account(&chain, &before, &paid).await?;
        self.clean_up().await
    }

    async fn start_network(&self) -> Result<()> {
        let state = self.network.state();
        let (nodes, providers) = (state.nodes.len(), state.providers.len());
        self.tell.step(&format!("A network of {nodes} validators and {providers} providers"));
        self.network.bring_up(&|text| self.tell.say(text)).await?;
        for node in &state.nodes {
            self.tell.say(&format!("{:<10} RPC {}, gRPC {}", node.name, node.rpc, node.grpc));
        }
        for provider in &state.providers {
            let region = provider.attributes.iter().find(|(key, _)| key == "region");
            let region = region.map_or("", |(_, value)| value);
            let (name, gateway, address) = (&provider.name, &provider.gateway, &provider.address);
            self.tell.say(&format!("{name:<10} {region:<7} {address}, gateway {gateway}"));
        }
        Ok(())
    }

    /// Order book, match, manifest, containers.
    async fn deploy(&self, chain: &Chain, tenant: &Client) -> Result<Deployed> {
        self.tell.step("A tenant deploys: orders, bids, the match, the manifest, containers");
        let file = self.app.join("app-v1.yaml");
        let address = self.tenant_address()?;
        let watcher = Watcher::start(chain.query().clone(), address);
        let printed = self.stoa(tenant, "deploy", &[&path(&file)]).await?;
        let book = watcher.finish();
        ensure!(
            !book.is_empty() && book.values().all(|entry| !entry.bids.is_empty()),
            "an order got no bid: {book:?}"
        );
        let deployed: Deployed = serde_json::from_value(printed).context("what deploy printed")?;
        self.tell.say(&format!("the book of {} as it closed:", deployed.deployment));
        self.tell.say(&book::table(&book, |address| self.name_of(address)));
        for lease in &deployed.leases {
            let (group, rate) = (&lease.group, &lease.rate);
            let provider = self.name_of(&lease.provider);
            self.tell.say(&format!("lease: {group} at {provider} for {rate} a second"));
        }
        self.check_version(chain, &deployed).await?;
        self.show_containers(&deployed).await?;
        Ok(deployed)
    }

    /// The manifest's hash on the chain is what every provider checked and serves.
    async fn check_version(&self, chain: &Chain, deployed: &Deployed) -> Result<()> {
        let id = stoa_proto::types::v1::DeploymentId {
            owner: self.tenant_address()?,
            dseq: deployed.dseq.parse()?,
        };
        let view = chain.query().deployment(&id).await?;
        let on_chain = view.deployment.map(|deployment| hex(&deployment.version));
        let on_chain = on_chain.context("the chain lost the deployment")?;
        self.tell.say(&format!("manifest SHA-256 on chain {on_chain}"));
        for lease in &deployed.leases {
            let provider = self.name_of(&lease.provider);
            ensure!(
                lease.version == on_chain && deployed.version == on_chain,
                "{provider} serves version {}, the chain says {on_chain}",
                lease.version
            );
            self.tell.say(&format!("checked and served by {provider:<10} {}", lease.version));
        }
        Ok(())
    }

    async fn show_containers(&self, deployed: &Deployed) -> Result<()> {
        let docker = engine::connect().await?;
        for lease in &deployed.leases {
            let containers = engine::containers(&docker, &lease.provider).await?;
            let running = containers.iter().filter(|one| one.state == "running");
            let names: Vec<_> = running.map(|one| one.name.trim_matches('/')).collect();
            ensure!(!names.is_empty(), "no container runs at {}", self.name_of(&lease.provider));
            let provider = self.name_of(&lease.provider);
            self.tell.say(&format!("containers at {provider}: {}", names.join(", ")));
        }
        Ok(())
    }

    /// The page and an API answer; the visits that the API has counted.
    async fn visit(&self, deployed: &Deployed, expected: &str) -> Result<u64> {
        if expected == PAGES[0] {
            self.tell.step("A browser reaches it through the providers' ingress");
        }
        let web = self.site(deployed, "web")?;
        self.tell.command(&web.as_curl("/"));
        let page = web.get_until("/", |body| body.contains(expected)).await?;
        let line = page.lines().find(|line| line.contains(expected)).unwrap_or_default();
        self.tell.say(&strip_tags(line));
        let api = self.site(deployed, "api")?;
        self.tell.command(&api.as_curl(VISITS));
        let answer = api.get(VISITS).await?;
        self.tell.say(answer.trim());
        let answer: Value = serde_json::from_str(&answer).context("the API's answer")?;
        answer.get("visits").and_then(Value::as_u64).context("the API counts no visits")
    }

    /// The web tier fetches from the API at the other provider; who is not declared does not.
    async fn show_tunnel(&self, tenant: &Client, deployed: &Deployed) -> Result<()> {
        self.tell.step("Two tiers at two providers, joined by one mTLS tunnel");
        let web = self.site(deployed, "web")?;
        self.tell.command(&web.as_curl(VISITS));
        let answer = web.get(VISITS).await?;
        self.tell.say(answer.trim());
        let answer: Value = serde_json::from_str(&answer).context("the web tier's answer")?;
        let counted = answer.pointer("/api/visits").and_then(Value::as_u64);
        counted.context("the web tier's answer has none of the API's")?;
        let dseq = deployed.dseq.as_str();
        self.tell.command(&format!("stoa net {dseq} --certificates"));
        let shown = tenant.text(&["net", dseq, "--certificates"]).await?;
        self.tell.say(shown.trim());
        ensure!(shown.matches("signed by the root on chain").count() == 2, "not both are signed");
        ensure!(!shown.contains("NOT SIGNED"), "a certificate is not of the chain's root");
        self.probe(tenant, dseq).await
    }

    /// The bystander runs beside the API and may not connect to it, by name or by address.
    async fn probe(&self, tenant: &Client, dseq: &str) -> Result<()> {
        let address = tenant.text(&["exec", dseq, "api", "--", "hostname", "-i"]).await?;
        let address = address.split_whitespace().next().context("the API has no address")?;
        for host in ["api".to_owned(), format!("{address}:8080")] {
            let url = format!("http://{host}/health");
            let fetch = ["busybox", "timeout", "5", "wget", "-q", "-O", "-", &url];
            let line = [&["exec", dseq, "bystander", "--"][..], &fetch].concat();
            self.tell.command(&format!("stoa {}", line.join(" ")));
            match tenant.text(&line).await {
                Ok(answer) => bail!("the bystander got {answer:?} from {url}"),
                Err(error) => self.tell.say(&format!("refused: {}", last_line(&error))),
            }
        }
        Ok(())
    }

    async fn update(&self, tenant: &Client, deployed: &Deployed, visits: u64) -> Result<()> {
        self.tell.step("The tenant updates it; the API's volume stays");
        let file = path(&self.app.join("app-v2.yaml"));
        let printed = self.stoa(tenant, "update", &[&deployed.dseq, &file]).await?;
        let updated: Deployed = serde_json::from_value(printed).context("what update printed")?;
        ensure!(updated.version != deployed.version, "the update has the old version");
        let after = self.visit(&updated, PAGES[1]).await?;
        ensure!(after > visits, "the volume was lost: {visits} visits before, {after} after");
        self.tell.say(&format!("visits went on counting: {visits} before, {after} after"));
        Ok(())
    }

    /// What the escrow paid, by provider.
    async fn close(&self, tenant: &Client, deployed: &Deployed) -> Result<BTreeMap<String, i128>> {
        self.tell.step("The tenant closes it; the escrow's rest returns");
        let printed = self.stoa(tenant, "close", &[&deployed.dseq]).await?;
        let get = |name: &str| printed.get(name).and_then(Value::as_str).unwrap_or("?");
        self.tell.say(&format!("escrow: {} ustoa were deposited", get("deposited")));
        let mut paid = BTreeMap::new();
        for (provider, units) in
            printed.get("paid").and_then(Value::as_object).into_iter().flatten()
        {
            let units: i128 = units.as_str().context("an amount")?.parse()?;
            self.tell.say(&format!("escrow: {units:>12} to {}", self.name_of(provider)));
            paid.insert(provider.clone(), units);
        }
        self.tell.say(&format!("escrow: {:>12} to the community pool", get("community_pool")));
        self.wait_until_gone().await?;
        Ok(paid)
    }

    /// The providers notice, and take the containers away.
    async fn wait_until_gone(&self) -> Result<()> {
        let docker = engine::connect().await?;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let mut left = 0;
            for provider in self.network.state().providers {
                left += engine::containers(&docker, &provider.address).await?.len();
            }
            if left == 0 {
                self.tell.say("the providers have taken the containers away");
                return Ok(());
            }
            ensure!(std::time::Instant::now() < deadline, "{left} containers are still there");
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
    }

    /// Who paid what to whom: what the accounts show must be what the escrow tells.
    async fn account(
        &self,
        chain: &Chain,
        before: &Holdings,
        paid: &BTreeMap<String, i128>,
    ) -> Result<()> {
        self.tell.step("Who paid what to whom, to the last unit");
        let after = Holdings::now(chain, &self.accounts()).await?;
        let changes = before.changes_until(chain, &after).await?;
        self.tell.say(&self.payments(&changes));
        changes.check()?;
        for provider in self.network.state().providers {
            let earned = changes.moved.get(&provider.address).copied().unwrap_or_default();
            let told = paid.get(&provider.address).copied().unwrap_or_default() * ATOMS;
            let name = &provider.name;
            ensure!(earned == told, "{name} got {}, the escrow says {}", show(earned), show(told));
        }
        ensure!(paid.values().filter(|units| **units > 0).count() == 2, "not both were paid");
        Ok(())
    }

    fn payments(&self, changes: &Changes) -> String {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        table.set_header(["USTOA", "FOR LEASES", "FEES OF TRANSACTIONS"]);
        for key in self.network.state().keys.funded {
            let of = |all: &BTreeMap<String, i128>| all.get(&key.address).copied().unwrap_or(0);
            let (moved, fee) = (of(&changes.moved), of(&changes.fees));
            if (moved, fee) != (0, 0) {
                table.add_row([key.name, show(moved), show(-fee)]);
            }
        }
        table.add_row(["community pool".to_owned(), show(changes.pool), String::new()]);
        table.add_row(["collected fees".to_owned(), String::new(), show(changes.all_fees())]);
        let moved = changes.moved.values().sum::<i128>() + changes.pool;
        table.add_row(["sum".to_owned(), show(moved), String::new()]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    async fn clean_up(&self) -> Result<()> {
        self.tell.step("Cleaning up");
        let network = Arc::clone(&self.network);
        tokio::task::spawn_blocking(move || network.down()).await??;
        self.tell.say("no process, container, network or volume of it is left");
        Ok(())
    }

    /// Runs `stoa` on a verb as a user would: what it tells goes to the terminal, what it prints
    /// for programs is read.
    async fn stoa(&self, tenant: &Client, verb: &str, args: &[&str]) -> Result<Value> {
        let told = format!("stoa {verb} {}", args.join(" "));
        self.tell.command(&told);
        let args: Vec<&str> = [verb].iter().chain(args).copied().collect();
        tenant.json(&args).await
    }

    fn client(&self) -> Result<Client> {
        self.network.client(TENANT)
    }

    fn tenant_address(&self) -> Result<String> {
        let state = self.network.state();
        Ok(state.key(TENANT).context("no tenant")?.address.clone())
    }

    /// Everybody whose money the deployment touches.
    fn accounts(&self) -> Vec<String> {
        self.network.state().keys.funded.iter().map(|key| key.address.clone()).collect()
    }

    fn name_of(&self, address: &str) -> String {
        let state = self.network.state();
        let found = state.keys.funded.iter().find(|key| key.address == address);
        found.map_or_else(|| address.to_owned(), |key| key.name.clone())
    }

    fn site(&self, deployed: &Deployed, service: &str) -> Result<Site> {
        site_of(&self.network.state(), deployed, service)
    }

    /// The ends of the logs of everything that may have had a part in a failure.
    fn explain(&self) -> String {
        let state = self.network.state();
        let providers =
            state.providers.iter().flat_map(|one| [one.name.clone(), one.tunnel_name.clone()]);
        let mut names: Vec<String> = providers.collect();
        names.extend(state.nodes.first().map(|node| node.name.clone()));
        names.extend(self.network.ended());
        let logs: BTreeMap<_, _> =
            names.into_iter().map(|name| (name.clone(), self.network.explain(&name))).collect();
        logs.into_values().filter(|log| !log.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

fn site_of(state: &State, deployed: &Deployed, service: &str) -> Result<Site> {
    for lease in &deployed.leases {
        let Some(found) = lease.services.iter().find(|one| one.name == service) else { continue };
        let uri = found.uris.first().with_context(|| format!("{service} has no address"))?;
        let provider = state.providers.iter().find(|one| one.address == lease.provider);
        let provider = provider.with_context(|| format!("no provider {}", lease.provider))?;
        return Site::new(&uri.uri, &provider.ingress);
    }
    bail!("no lease has a service {service}")
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn last_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

/// A line of a page as it reads.
fn strip_tags(line: &str) -> String {
    let mut text = String::new();
    let mut in_tag = false;
    for letter in line.chars() {
        match letter {
            '<' => in_tag = true,
            '>' => in_tag = false,
            _ if !in_tag => text.push(letter),
            _ => {}
        }
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_shown_as_it_reads() {
        assert_eq!(strip_tags("  <h1 class=\"x\">Stoa <b>demo</b></h1>"), "Stoa demo");
    }
}
