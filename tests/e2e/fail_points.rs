//! A provider's daemon killed at each step of a deployment, an update and a close, and started
//! again: it goes on where it was, and does nothing twice.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{ensure, Context, Result};
use bollard::{exec::StartExecResults, models::ExecConfig, query_parameters::ListVolumesOptions};
use futures::TryStreamExt;
use serde_json::Value;
use stoa_client::{ids::TextId, tx::TxResult};
use stoa_localnet::{
    engine::{self, Container},
    Provider,
};
use stoa_proto::types::v1::BidId;
use tokio::process::Command;

use crate::world::{demo_file, deployed, eventually, Deployed, Leased, Tenant, World};

/// The steps of a deployment, an update or a close, one row a provider. A row is in the order in
/// which its steps come; steps of which either may come first stand in different rows.
type Rows = [&'static [&'static str]; 3];

/// From the bid to the running workload.
const DEPLOY: Rows = [
    &[
        "bid.after_intent",
        "manifest.after_store",
        "blob.after_sync",
        "blob.before_rename",
        "blob.after_store",
        "image.before_load",
        "lease.before_apply",
        "runtime.after_link_start",
        "data.before_load",
        "runtime.after_container_start",
        "start.before_send",
    ],
    &[
        "bid.after_send",
        "lease.after_seen",
        "runtime.after_image_load",
        "runtime.after_network_create",
        "data.after_load",
        "runtime.after_volume_create",
        "lease.after_apply",
        "start.after_send",
    ],
    &[
        "manifest.before_store",
        "lease.after_accept",
        "ingress.after_claim",
        "image.after_load",
        "runtime.after_link_create",
        "runtime.after_container_create",
        "ingress.after_push",
        "lease.after_commit",
    ],
];

/// An update to another image.
const UPDATE: Rows = [
    &["update.after_begin", "runtime.after_container_remove"],
    &["image.before_load", "runtime.after_container_create"],
    &["runtime.after_container_stop", "lease.after_commit"],
];

/// A close.
const CLOSE: Rows = [
    &["close.before_remove", "close.after_remove"],
    &["close.after_seen", "runtime.after_lease_containers_remove"],
    &["runtime.after_lease_networks_remove", "runtime.after_lease_volumes_remove"],
];

/// An update that renames a service: its instance goes, another comes.
const RENAME: Rows =
    [&["lease.after_remove"], &["runtime.after_workload_remove"], &["runtime.after_link_remove"]];

/// An update that fails, and is undone.
const UNDO: Rows = [&[], &[], &["update.after_undo"]];

/// An instance that wrote more than it was sold is marked, and stopped.
const OVERUSE: Rows = [&["watchdog.after_mark", "lease.after_stop"], &[], &[]];

/// What takes no network of ours to walk through: the provider's own tests die at these, in
/// `provider/tests/runtime.rs` and `provider/tests/data.rs`.
const ELSEWHERE: &[&str] = &[
    "runtime.after_resize",
    "runtime.after_egress_network_create",
    "runtime.after_egress_connect",
    "runtime.after_data_load",
    "runtime.after_data_volume_create",
    "runtime.after_filler_create",
    "runtime.after_data_fill",
    "runtime.after_data_mark",
    "runtime.after_passing_volume_create",
    "runtime.after_passing_volume_fill",
];

/// Earnings are fetched, and booked.
const PAID: Rows =
    [&["money.before_send"], &["money.after_send", "money.before_book"], &["money.after_book"]];

/// What the page's server is started with, and a program that ends at once in its place.
const SERVES: &str = r#"["/bin/httpd", "-f", "-p", "8080", "-h", "/srv"]"#;
const ENDS: &str = r#"["/bin/sh", "-c", "exit 1"]"#;

/// The exit code of `stoa` where a provider does not do it.
const REFUSED: i32 = 3;

/// Two blocks of a tar archive, in bytes.
const EMPTY_BLOCKS: usize = 1024;

/// How long a daemon may take to come to a step.
const STEP: Duration = Duration::from_secs(60);

/// How long after a command's end what it leaves behind may take to go.
const SETTLED: Duration = Duration::from_secs(20);

pub async fn a_provider_killed_between_any_two_steps_converges(world: World) -> Result<()> {
    check_steps_are_all()?;
    let lanes = (0..DEPLOY.len()).map(|index| {
        let world = world.clone();
        async move {
            let lane = Lane::new(world, index).await?;
            let name = lane.provider.name.clone();
            let outcome = lane.run().await;
            outcome.with_context(|| format!("{name}\n{}", lane.world.network().explain(&name)))
        }
    });
    futures::future::try_join_all(lanes).await?;
    Ok(())
}

/// Whether every step at which the provider's sources can be killed is among those here.
fn check_steps_are_all() -> Result<()> {
    let mut there = BTreeSet::new();
    steps_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../provider/src"), &mut there)?;
    let all = [DEPLOY, UPDATE, RENAME, UNDO, OVERUSE, PAID, CLOSE];
    let rows = all.into_iter().flatten().flatten().chain(ELSEWHERE);
    let here: BTreeSet<String> = rows.map(|step| (*step).to_owned()).collect();
    let gone: Vec<_> = here.difference(&there).collect();
    ensure!(gone.is_empty(), "the provider has no such steps: {gone:?}");
    let left_out: Vec<_> = there.difference(&here).collect();
    ensure!(left_out.is_empty(), "steps of the provider that nobody dies at: {left_out:?}");
    Ok(())
}

/// The names in all `failpoint("name")` below a directory.
fn steps_below(dir: &Path, names: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            steps_below(&path, names)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let calls = text.split("failpoint(\"").skip(1);
            names.extend(calls.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    Ok(())
}

/// What the versions of the application differ in.
#[derive(Clone, Copy)]
struct App {
    /// The page's service.
    web: &'static str,
    /// Its image.
    image: &'static str,
    /// Its command.
    command: &'static str,
    /// A variable of the other service.
    api: &'static str,
}

impl Default for App {
    fn default() -> Self {
        Self { web: "web", image: "web-v1.tar", command: SERVES, api: "first" }
    }
}

/// Runs a program as root in a container, to its end.
async fn run_in(container: &Container, command: &[&str]) -> Result<()> {
    let docker = engine::connect().await?;
    let config = ExecConfig {
        cmd: Some(command.iter().map(|&word| word.to_owned()).collect()),
        user: Some("0".to_owned()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..ExecConfig::default()
    };
    let exec = docker.create_exec(&container.id, config).await?.id;
    let StartExecResults::Attached { mut output, .. } = docker.start_exec(&exec, None).await?
    else {
        anyhow::bail!("{command:?} was not attached to");
    };
    let mut said = String::new();
    while let Some(part) = output.try_next().await? {
        said.push_str(&part.to_string());
    }
    let code = docker.inspect_exec(&exec).await?.exit_code;
    ensure!(code == Some(0), "{command:?} ended with {code:?}: {said}");
    Ok(())
}

/// One provider's life under fire.
struct Lane {
    world: World,
    index: usize,
    provider: Provider,
    tenant: Tenant,
    dir: PathBuf,
}

impl Lane {
    async fn new(world: World, index: usize) -> Result<Self> {
        let provider = world.provider(index)?;
        let tenant = world.new_tenant(&format!("patient{index}")).await?;
        let dir = world.dir(&format!("lane{index}"))?;
        for image in ["web-v1.tar", "web-v2.tar", "api.tar"] {
            // Other bytes than any deployment before, whose images providers keep for a day: an
            // archive may have as many empty blocks at its end as it likes.
            let mut bytes = fs::read(demo_file(&format!("images/{image}"))?)?;
            bytes.resize(bytes.len() + EMPTY_BLOCKS * (index + 1), 0);
            fs::write(dir.join(image), bytes)?;
        }
        Ok(Self { world, index, provider, tenant, dir })
    }

    async fn run(&self) -> Result<()> {
        let first = self.sdl("first", App::default())?;
        let running = deployed(self.under_fire(&["deploy", &first], &DEPLOY).await?)?;
        self.check_running(&running, "web", "version 1").await?;
        self.check_bids(&running).await?;

        let new = App { image: "web-v2.tar", ..App::default() };
        let second = self.sdl("second", new)?;
        let update = |file| ["update", running.dseq.as_str(), file];
        let updated = deployed(self.under_fire(&update(&second), &UPDATE).await?)?;
        self.check_running(&updated, "web", "version 2").await?;

        let new = App { web: "web-shop", ..new };
        let renamed = self.sdl("renamed", new)?;
        let renamed = deployed(self.under_fire(&update(&renamed), &RENAME).await?)?;
        self.check_running(&renamed, "web-shop", "version 2").await?;

        if UNDO.get(self.index).is_some_and(|steps| !steps.is_empty()) {
            let broken = self.sdl("broken", App { command: ENDS, ..new })?;
            let update = ["update", running.dseq.as_str(), broken.as_str()];
            self.check_undone(&update, &renamed.version).await?;
            self.check_running(&renamed, "web-shop", "version 2").await?;
        }
        if !self.steps(&OVERUSE).is_empty() {
            self.check_overuse(&renamed).await?;
            let again = self.sdl("again", App { api: "again", ..new })?;
            let again = deployed(self.tenant.client.json(&update(&again)).await?)?;
            self.check_running(&again, "web-shop", "version 2").await?;
        }

        self.arm(self.steps(&PAID)).await?;
        self.die_at_each(self.steps(&PAID)).await?;

        self.under_fire(&["close", &running.dseq], &CLOSE).await?;
        self.check_ledger(&running).await?;
        eventually("everything is taken away", Duration::from_secs(60), || self.is_empty()).await
    }

    /// Runs a command of `stoa` while the daemon dies at each of this lane's steps, one after the
    /// other, and is started again. What the command printed.
    async fn under_fire(&self, args: &[&str], steps: &Rows) -> Result<Value> {
        let mut command = self.tenant.client.command(["-o", "json"].iter().chain(args));
        let output = self.output_under_fire(&mut command, steps).await?;
        ensure!(output.status.success(), "stoa {args:?}: {output:?}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    async fn output_under_fire(&self, command: &mut Command, steps: &Rows) -> Result<Output> {
        let steps = self.steps(steps);
        self.arm(steps).await?;
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let output = tokio::spawn(child.wait_with_output());
        self.die_at_each(steps).await?;
        Ok(output.await??)
    }

    /// This lane's own.
    fn steps(&self, rows: &Rows) -> &'static [&'static str] {
        rows.get(self.index).copied().unwrap_or_default()
    }

    /// Kills the daemon, and starts it to die at the first of the steps.
    async fn arm(&self, steps: &[&str]) -> Result<()> {
        self.world.network().kill(&self.provider.name)?;
        self.start(steps.first().copied()).await
    }

    /// Waits until the daemon has died at each of the steps, and starts it for the next.
    async fn die_at_each(&self, steps: &[&str]) -> Result<()> {
        let (network, name) = (self.world.network(), self.provider.name.as_str());
        for (index, step) in steps.iter().enumerate() {
            ensure!(network.wait_for_end(name, STEP).await?, "{name} never came to {step}");
            println!("  {name} was killed at {step}");
            self.start(steps.get(index + 1).copied()).await?;
        }
        Ok(())
    }

    /// An update that never becomes ready: the provider goes back to the version before, and the
    /// command ends with the provider's reason rather than by its timeout.
    async fn check_undone(&self, args: &[&str], served: &str) -> Result<()> {
        let mut command = self.tenant.client.command(args);
        let output = self.output_under_fire(&mut command, &UNDO).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(REFUSED), "{}: {said}", output.status);
        let wanted = format!("it serves version {served} again");
        for words in ["undid the update: not ready within", "with code 1", &wanted] {
            ensure!(said.contains(words), "{words:?} is not in: {said}");
        }
        Ok(())
    }

    /// An instance that writes more than it was sold is stopped for good, once, whenever the
    /// daemon dies over it; the rest goes on.
    async fn check_overuse(&self, running: &Deployed) -> Result<()> {
        let lease = running.leases.first().context("no lease")?;
        self.arm(self.steps(&OVERUSE)).await?;
        let api = self.container_of(lease, "api").await?;
        run_in(&api, &["/bin/busybox", "dd", "if=/dev/zero", "of=/fill", "bs=1M", "count=80"])
            .await?;
        self.die_at_each(self.steps(&OVERUSE)).await?;
        eventually("the provider says why it stopped it", SETTLED, || async {
            let status = self.tenant.client.json(&["status", &running.dseq]).await?;
            let message = status.pointer("/providers/0/status/message").and_then(Value::as_str);
            let words = ["api[0] wrote ", "of 64 MiB of ephemeral storage and was stopped"];
            Ok(message.is_some_and(|text| words.iter().all(|words| text.contains(words))))
        })
        .await?;
        let stopped = self.container_of(lease, "api").await?;
        ensure!((&stopped.id, stopped.state.as_str()) == (&api.id, "exited"), "{stopped:?}");
        let all = self.world.containers(lease).await?;
        let others: Vec<_> = all.iter().filter(|one| one.id != api.id).collect();
        let run = others.iter().all(|one| one.state == "running");
        ensure!(others.len() == 3 && run, "a page and two links: {others:?}");
        self.world.site(running, "web-shop")?.get("/").await.map(drop)
    }

    /// The container of a service's only instance.
    async fn container_of(&self, lease: &Leased, service: &str) -> Result<Container> {
        let all = self.world.containers(lease).await?;
        let is_it = |one: &Container| {
            one.role == "workload" && one.labels.get("stoa.service").is_some_and(|s| s == service)
        };
        let found = all.into_iter().find(is_it);
        found.with_context(|| format!("no container of {service}"))
    }

    /// Starts the daemon, to die at a step. With one it may die before it is ready.
    async fn start(&self, step: Option<&str>) -> Result<()> {
        let (network, name) = (self.world.network(), self.provider.name.as_str());
        let environment: Vec<_> = step.map(|step| ("STOA_FAILPOINT", step)).into_iter().collect();
        network.start_one(name, &environment)?;
        match step {
            Some(_) => Ok(()),
            None => network.wait_for_provider(name).await,
        }
    }

    /// The provider comes to one instance of each service; and they answer.
    async fn check_running(&self, running: &Deployed, service: &str, page: &str) -> Result<()> {
        let lease = running.leases.first().context("no lease")?;
        ensure!(lease.provider == self.provider.address, "another provider: {lease:?}");
        eventually("no more and no less runs", SETTLED, || async {
            self.check_containers(lease).await.map(|()| true)
        })
        .await?;
        let web = self.world.site(running, service)?;
        web.get_until("/", |body| body.contains(page)).await?;
        let visits = self.world.site(running, "api")?.get("/cgi-bin/visits").await?;
        ensure!(visits.contains("visits"), "{visits}");
        Ok(())
    }

    /// One instance of each service with its link, and nothing else of any lease that is over.
    async fn check_containers(&self, lease: &Leased) -> Result<()> {
        let docker = engine::connect().await?;
        // Of the whole provider, so that an orphan of another name is seen as well; the
        // application that scenarios share may be here, too.
        let all = engine::containers(&docker, &self.provider.address).await?;
        let (own, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|one| one.labels.get("stoa.lease") == Some(&lease.lease));
        let names: Vec<_> = own.iter().map(|one| (&one.name, &one.state)).collect();
        let count = |role: &str| own.iter().filter(|one| one.role == role).count();
        ensure!(
            (count("workload"), count("link"), own.len()) == (2, 2, 4),
            "two services, each with its link: {names:?}"
        );
        ensure!(own.iter().all(|one| one.state == "running"), "not all run: {names:?}");
        self.check_known(&others).await
    }

    /// Every other container belongs to a live lease.
    async fn check_known(&self, others: &[engine::Container]) -> Result<()> {
        use stoa_client::query::LeaseFilter;
        let filter = LeaseFilter {
            provider: self.provider.address.clone(),
            live: true,
            ..LeaseFilter::default()
        };
        let live = self.world.chain().query().leases(&filter).await?;
        let live: Vec<String> =
            live.iter().filter_map(|lease| lease.id.as_ref().map(TextId::text)).collect();
        for one in others {
            let lease = one.labels.get("stoa.lease");
            ensure!(lease.is_some_and(|id| live.contains(id)), "an orphan: {one:?}");
        }
        Ok(())
    }

    /// The chain saw one bid of this provider on the order, whatever happened around it.
    async fn check_bids(&self, running: &Deployed) -> Result<()> {
        let lease = running.leases.first().context("no lease")?;
        let order = lease.lease.rsplit_once('/').context("a lease's id ends in its provider")?.0;
        let query = format!("stoa.market.v1.EventBidPlaced.order='{order}'");
        let found = self.world.chain().rpc().tx_search(&query).await?;
        let results: Vec<TxResult> = found.into_iter().map(|tx| tx.result).collect();
        let placed = |result: &TxResult| {
            let of_order = result.events_named("EventBidPlaced");
            let of_order = of_order.filter(|event| event.get("order") == Some(order));
            of_order.filter(|e| e.get("provider") == Some(&self.provider.address)).count()
        };
        let bids: usize = results.iter().map(placed).sum();
        ensure!(bids == 1, "{bids} bids were placed on {order}: {results:?}");
        Ok(())
    }

    /// The ledger has what the chain paid to the unit, line by line, whenever the daemon died.
    async fn check_ledger(&self, running: &Deployed) -> Result<()> {
        let lease = running.leases.first().context("no lease")?;
        let program = self.world.network().options().programs.path("stoa-provider");
        let config = self.provider.home.join("provider.toml");
        eventually("the ledger equals the chain", SETTLED, || async {
            let id = BidId::parse(&lease.lease)?;
            let paid = self.world.chain().query().lease(&id).await?.withdrawn.unwrap_or_default();
            let mut command = Command::new(&program);
            command.args(["earnings", "-o", "json", "--lease", &lease.lease, "--config"]);
            let output = command.arg(&config).output().await?;
            ensure!(output.status.success(), "{output:?}");
            let earnings: Value = serde_json::from_slice(&output.stdout)?;
            let booked = earnings.pointer("/total/ustoa").and_then(Value::as_str);
            let lines = earnings.get("payments").and_then(Value::as_array).context("no lines")?;
            let seen = lines.iter().all(|line| line.get("kind") == Some(&"paid".into()));
            ensure!(seen, "every payment was in a block: {lines:?}");
            Ok(!paid.amount.is_empty() && booked == Some(paid.amount.as_str()))
        })
        .await
    }

    /// Whether nothing of this tenant's is left in the engine.
    async fn is_empty(&self) -> Result<bool> {
        let docker = engine::connect().await?;
        let own = |lease: Option<&String>| {
            lease.is_some_and(|lease| lease.starts_with(&format!("{}/", self.tenant.address)))
        };
        let containers = engine::containers(&docker, &self.provider.address).await?;
        let networks = docker.list_networks(None).await?;
        let volumes =
            docker.list_volumes(None::<ListVolumesOptions>).await?.volumes.unwrap_or_default();
        Ok(!containers.iter().any(|one| own(one.labels.get("stoa.lease")))
            && !networks
                .iter()
                .any(|one| own(one.labels.as_ref().and_then(|labels| labels.get("stoa.lease"))))
            && !volumes.iter().any(|one| own(one.labels.get("stoa.lease"))))
    }

    /// Two services and a volume, in this provider's place; the path of the file.
    fn sdl(&self, name: &str, app: App) -> Result<String> {
        let App { web, image, command, api } = app;
        let region = self.provider.attributes.iter().find(|(key, _)| key == "region");
        let region = &region.context("no region")?.1;
        let text = format!(
            r#"
version: "2.0"
services:
  {web}:
    image: ./{image}
    command: {command}
    expose: [{{port: 8080, as: 80, to: [{{global: true}}]}}]
  api:
    image: ./api.tar
    env: [ROUND={api}]
    params: {{storage: {{data: {{mount: /data, data: ./seed}}}}}}
    expose:
      - {{port: 8080, as: 80, to: [{{global: true}}]}}
      - {{port: 8080, as: 9000, to: [{{global: true}}]}}
profiles:
  compute:
    web: {{resources: {{cpu: {{units: 100m}}, memory: {{size: 64Mi}}, storage: {{size: 64Mi}}}}}}
    api:
      resources:
        cpu: {{units: 100m}}
        memory: {{size: 64Mi}}
        storage:
          - size: 64Mi
          - {{name: data, size: 64Mi, attributes: {{persistent: true}}}}
  placement:
    here:
      attributes: {{region: {region}}}
      pricing:
        web: {{denom: ustoa, amount: 100}}
        api: {{denom: ustoa, amount: 100}}
deployment:
  {web}: {{here: {{profile: web, count: 1}}}}
  api: {{here: {{profile: api, count: 1}}}}
market: {{bid_window: 15s}}
"#
        );
        fs::create_dir_all(self.dir.join("seed"))?;
        fs::write(self.dir.join("seed/hello.txt"), "hello")?;
        let file = self.dir.join(format!("{name}.yaml"));
        fs::write(&file, text)?;
        Ok(file.display().to_string())
    }
}
