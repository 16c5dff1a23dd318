//! What a person sees while bids come in: on a terminal a table that is drawn over with its time
//! running down, elsewhere a line for each thing that changes.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{bail, ensure, Context, Result};
use serde_json::Value;
use stoa_proto::deployment::v1::DeploymentState;
use stoa_tests::Terminal;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

use crate::world::{demo_file, Tenant, World};

/// How the table begins, and a word of its rows that counts down.
const HEAD: [&str; 3] = ["GROUP", "PROVIDER", "RATE"];
const COUNTDOWN: &str = "closes in ";

pub async fn on_a_terminal_bids_are_a_live_table_and_elsewhere_lines(world: World) -> Result<()> {
    let (seer, reader) = (world.new_tenant("seer").await?, world.new_tenant("reader").await?);
    let file = one_page(&world.dir("live")?)?;
    let watch = ["market", "watch", "--only", &seer.address];
    let mut market = Terminal::start(&seer.client.command(watch))?;

    // Nobody bids before both have been seen without a bid.
    let providers: Vec<String> =
        world.network().state().providers.into_iter().map(|one| one.name).collect();
    providers.iter().try_for_each(|name| world.network().kill(name))?;
    let mut terminal = Terminal::start(&seer.client.command(["deploy", &file]))?;
    let mut pipe = Pipe::start(reader.client.command(["deploy", &file]))?;
    let mut screens = terminal.until("a table", |screen| screen.contains(COUNTDOWN)).await?;
    pipe.until("no bid yet").await?;
    for name in &providers {
        world.network().start_one(name, &[])?;
    }
    let ((rest, status), said) = tokio::try_join!(terminal.until_end(), pipe.until_end())?;
    screens.extend(rest);
    ensure!(status.success(), "{status}: {}", last(&screens));

    check_table(&screens, providers.len())?;
    check_what_remains(last(&screens))?;
    check_lines(&said)?;
    check_market(&mut market).await?;
    market_for_programs(&world, &seer, providers.len()).await?;
    for tenant in [seer, reader] {
        let all = world.chain().query().deployments(&tenant.address, DeploymentState::Active);
        let all = all.await?;
        let deployment = all.first().and_then(|one| one.deployment.as_ref());
        let id = deployment.and_then(|one| one.id.as_ref()).context("it is not there any more")?;
        tenant.client.json(&["close", &id.dseq.to_string()]).await?;
    }
    Ok(())
}

/// The table stands once on every screen, with bids while orders are open, and its time runs down.
fn check_table(screens: &[String], providers: usize) -> Result<()> {
    let heads = |screen: &&String| screen.lines().filter(|line| is_head(line)).count();
    let most = screens.iter().map(|screen| heads(&screen)).max();
    ensure!(most == Some(1), "the table is drawn {most:?} times at once: {}", last(screens));
    let open: Vec<&String> =
        screens.iter().filter(|one| heads(one) == 1 && one.contains(COUNTDOWN)).collect();
    let bids = |screen: &String| screen.lines().filter(|line| is_bid(line)).count();
    ensure!(open.first().is_some_and(|first| bids(first) == 0), "bids before any: {open:?}");
    let most = open.iter().map(|screen| bids(screen)).max();
    let all = most == Some(providers);
    ensure!(all, "{most:?} of {providers} bids while the order is open: {open:?}");
    let mut left: Vec<u64> = open.iter().filter_map(|screen| seconds_left(screen)).collect();
    left.dedup();
    ensure!(left.len() > 3 && left.is_sorted_by(|a, b| a > b), "the time ran down as {left:?}");
    Ok(())
}

/// What a person finds in the end: the last table, and every step with its outcome.
fn check_what_remains(screen: &str) -> Result<()> {
    for words in ["✓ read", "✓ deployment", "matched", "✓ here: running (web 1/1)", "http://web-"]
    {
        ensure!(screen.contains(words), "{words:?} does not stand there any more:\n{screen}");
    }
    let head = screen.lines().position(is_head).context("the table is gone")?;
    let done = screen.lines().position(|line| line.contains("✓ here: running"));
    ensure!(Some(head) < done, "the table comes before what followed it:\n{screen}");
    ensure!(!screen.contains(COUNTDOWN), "nothing is counted down any more:\n{screen}");
    Ok(())
}

/// What a command says on stderr where that is no terminal.
struct Pipe {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    said: String,
}

impl Pipe {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
        Ok(Self { child, lines, said: String::new() })
    }

    async fn until(&mut self, words: &str) -> Result<()> {
        while let Some(line) = self.lines.next_line().await? {
            self.said.push_str(&format!("{line}\n"));
            if line.contains(words) {
                return Ok(());
            }
        }
        bail!("it ended before it said {words:?}: {}", self.said)
    }

    /// All that it said.
    async fn until_end(mut self) -> Result<String> {
        while let Some(line) = self.lines.next_line().await? {
            self.said.push_str(&format!("{line}\n"));
        }
        let status = self.child.wait().await?;
        ensure!(status.success(), "{status}: {}", self.said);
        Ok(self.said)
    }
}

/// Whole lines, each once, without a terminal's control characters.
fn check_lines(said: &str) -> Result<()> {
    ensure!(!said.contains(['\x1b', '\r']), "control characters: {said:?}");
    let of_order = |words: &str| {
        let lines = said.lines().filter(|line| line.starts_with("… order of group here: "));
        lines.filter(|line| line.contains(words)).count()
    };
    ensure!(of_order("no bid yet, closes in") == 1, "{said}");
    ensure!((1..=3).contains(&of_order(", best ")), "one line for each change: {said}");
    ensure!(of_order("3 bids, best ") == 1 && of_order("matched") == 1, "{said}");
    ensure!(said.contains("✓ here: running (web 1/1)"), "{said}");
    Ok(())
}

/// The market's events as they came, one line each, until Ctrl-C.
async fn check_market(market: &mut Terminal) -> Result<()> {
    let wanted = ["/1/1 opened, at most ", "bid of ", "/1/1 matched", "ustoa/s", " started"];
    let all = |screen: &str| wanted.iter().all(|words| screen.contains(words));
    let screens = market.until("the whole way to the running lease", all).await?;
    let grown = |pair: &[String]| match pair {
        [before, after] => after.starts_with(before.trim_end()),
        _ => true,
    };
    ensure!(screens.windows(2).all(grown), "a line was drawn over: {screens:?}");
    market.interrupt().await?;
    while market.next().await?.is_some() {}
    Ok(())
}

/// The same for programs: one JSON object a line.
async fn market_for_programs(world: &World, tenant: &Tenant, providers: usize) -> Result<()> {
    let height = world.chain().rpc().status().await?.latest_height.to_string();
    let args = ["-o", "json", "market", "watch", "--from-height", "1", "--until", &height];
    let mut command = tenant.client.command(args.iter().chain(&["--only", &tenant.address]));
    let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await??;
    ensure!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let events = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let count = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    let bids = count("stoa.market.v1.EventBidPlaced");
    ensure!(bids == providers && count("stoa.market.v1.EventLeaseCreated") == 1, "{text}");
    Ok(())
}

fn last(screens: &[String]) -> &str {
    screens.last().map_or("", String::as_str)
}

fn is_head(line: &str) -> bool {
    line.split_whitespace().eq(HEAD)
}

fn is_bid(line: &str) -> bool {
    line.trim_start().starts_with("stoa1") && line.contains("ustoa/s")
}

fn seconds_left(screen: &str) -> Option<u64> {
    let (_, rest) = screen.split_once(COUNTDOWN)?;
    rest.split_once('s')?.0.parse().ok()
}

/// A page that any provider may serve; the path of the file.
fn one_page(dir: &Path) -> Result<String> {
    std::fs::copy(demo_file("images/web-v1.tar")?, dir.join("web.tar"))?;
    let text = r#"
version: "2.0"
services:
  web:
    image: ./web.tar
    expose: [{port: 8080, as: 80, to: [{global: true}]}]
profiles:
  compute:
    web: {resources: {cpu: {units: 100m}, memory: {size: 64Mi}, storage: {size: 64Mi}}}
  placement:
    here: {pricing: {web: {denom: ustoa, amount: 100}}}
deployment:
  web: {here: {profile: web, count: 1}}
market: {bid_window: 30s}
"#;
    let file = dir.join("page.yaml");
    std::fs::write(&file, text)?;
    Ok(file.display().to_string())
}
