//! The tenant's way through `stoa`, as programs use it, with breaks.

use std::{process::Stdio, time::Duration};

use anyhow::{ensure, Context, Result};
use serde_json::Value;
use stoa_proto::deployment::v1::DeploymentState;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::world::{demo_file, deployed, eventually, Deployed, Tenant, World};

/// Where the deployment is broken off, run after run: as soon as a line has one of these.
const BREAKS: [&str; 4] =
    ["posting the deployment", "order of group", "sending the manifest", "waiting for"];

pub async fn the_command_line_deploys_resumes_updates_and_closes(world: World) -> Result<()> {
    let tenant = world.new_tenant("merchant").await?;
    let file = demo_file("app-v1.yaml")?.display().to_string();
    let deposit = dry_run(&world, &tenant, &file).await?;
    for broken_at in BREAKS {
        break_off(&tenant, &file, broken_at).await?;
    }
    let running = deployed(tenant.client.json(&["deploy", &file]).await?)?;
    ensure!(running.leases.len() == 2, "two groups wanted: {running:?}");
    let query = world.chain().query();
    let all = query.deployments(&tenant.address, DeploymentState::Unspecified).await?;
    ensure!(all.len() == 1, "one deployment, one escrow, after {} breaks: {all:?}", BREAKS.len());
    let page = world.site(&running, "web")?.get("/").await?;
    ensure!(page.contains("version 1"), "{page}");

    status_and_logs(&tenant, &running.dseq).await?;
    why_not(&tenant, &running).await?;
    let second = demo_file("app-v2.yaml")?.display().to_string();
    let updated = deployed(tenant.client.json(&["update", &running.dseq, &second]).await?)?;
    ensure!(updated.version != running.version, "the update has the old version");
    let web = world.site(&updated, "web")?;
    web.get_until("/", |page| page.contains("version 2")).await?;

    let account = tenant.close(&running).await?;
    check_account(&account, &tenant, deposit)?;
    for lease in &running.leases {
        eventually("its containers are gone", Duration::from_secs(60), || async {
            Ok(world.containers(lease).await?.is_empty())
        })
        .await?;
    }
    let again = tenant.close(&running).await?;
    ensure!(again == account, "closing twice: {again} after {account}");
    exit_codes(&tenant, &file).await
}

/// What it would cost, and that nothing is sent. The deposit that it would take.
async fn dry_run(world: &World, tenant: &Tenant, file: &str) -> Result<u128> {
    let before = world.balance(&tenant.address).await?;
    let plan = tenant.client.json(&["deploy", file, "--dry-run"]).await?;
    let text = |name: &str| {
        let value = plan.get(name).and_then(Value::as_str);
        value.map(str::to_owned).with_context(|| format!("no {name} in {plan}"))
    };
    // 60, 120 and 40 STOA, as the file says; rates are rounded down at 18 decimals.
    let month = text("max_cost_per_month")?;
    ensure!(month.starts_with("219999999.99") || month == "220000000", "{plan}");
    ensure!(plan.get("runway_seconds").and_then(Value::as_u64) > Some(3_600), "{plan}");
    ensure!(plan.get("refusal").is_some_and(Value::is_null), "{plan}");
    let deposit = text("deposit")?;
    let deposit = deposit.strip_suffix("ustoa").context("the deposit's denom")?.parse()?;
    let all = world.chain().query();
    let all = all.deployments(&tenant.address, DeploymentState::Unspecified).await?;
    let after = world.balance(&tenant.address).await?;
    ensure!(all.is_empty() && before == after, "a dry run sent something: {all:?}");
    Ok(deposit)
}

/// Deploys until a line has the words, and kills it there.
async fn break_off(tenant: &Tenant, file: &str, words: &str) -> Result<()> {
    let mut command = tenant.client.command(["deploy", file]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
    let mut said = String::new();
    while let Some(line) = lines.next_line().await? {
        said.push_str(&format!("{line}\n"));
        if line.contains(words) {
            child.kill().await?;
            println!("  broken off at: {line}");
            return Ok(());
        }
    }
    let status = child.wait().await?;
    anyhow::bail!("it ended ({status}) before it said {words:?}:\n{said}")
}

async fn status_and_logs(tenant: &Tenant, dseq: &str) -> Result<()> {
    let status = tenant.client.json(&["status", dseq]).await?;
    let providers = status.get("providers").and_then(Value::as_array).context("no providers")?;
    ensure!(
        providers.len() == 2 && providers.iter().all(|one| one.get("status").is_some()),
        "both providers should answer: {status}"
    );
    let mut command = tenant.client.command(["logs", dseq, "--service", "web"]);
    let output = command.output().await?;
    let printed = String::from_utf8_lossy(&output.stdout);
    // The page was fetched, and the server logs what it answers.
    ensure!(output.status.success() && printed.contains("web"), "logs: {output:?}");
    Ok(())
}

/// Every provider says of an order that is over that it is; the winner, that it had a bid.
async fn why_not(tenant: &Tenant, running: &Deployed) -> Result<()> {
    let lease = running.leases.first().context("no lease")?;
    let order = lease.lease.rsplit_once('/').context("a lease's id ends in its provider")?.0;
    let answer = tenant.client.json(&["provider", "screen", order]).await?;
    let rows = answer.get("providers").and_then(Value::as_array).context("no providers")?;
    ensure!(rows.len() == 3, "three providers were to answer: {answer}");
    for row in rows {
        ensure!(row.get("error").is_none(), "{row}");
        let is = |name: &str, value: &Value| row.get(name) == Some(value);
        let won = is("provider", &Value::from(lease.provider.as_str()));
        ensure!(!won || is("has_bid", &true.into()), "the winner had a bid: {row}");
        let reasons = row.get("reasons").map(Value::to_string).unwrap_or_default();
        let told = reasons.contains("matched") || is("has_bid", &true.into());
        ensure!(told, "the order is matched: {row}");
    }
    Ok(())
}

/// What was deposited is what was paid, taken and returned.
fn check_account(account: &Value, tenant: &Tenant, deposit: u128) -> Result<()> {
    let number = |value: Option<&Value>| -> Result<u128> {
        let text = value.and_then(Value::as_str).with_context(|| format!("{account}"))?;
        Ok(text.parse()?)
    };
    let deposited = number(account.get("deposited"))?;
    ensure!(deposited == deposit, "one deposit of {deposit} was to be made: {account}");
    let paid = account.get("paid").and_then(Value::as_object).context("paid")?;
    let paid: u128 =
        paid.values().map(|units| number(Some(units))).collect::<Result<Vec<_>>>()?.iter().sum();
    let refunded = account.get("refunded").and_then(|all| all.get(&tenant.address));
    let sum = paid + number(refunded)? + number(account.get("community_pool"))?;
    ensure!(paid > 0 && sum == deposited, "it does not add up: {account}");
    Ok(())
}

/// Programs tell failures apart by exit codes.
async fn exit_codes(tenant: &Tenant, file: &str) -> Result<()> {
    let nobody = ["--node", "http://127.0.0.1:1", "--grpc", "http://127.0.0.1:1"];
    let cases: [(&[&str], i32); 4] = [
        (&["status", "999999999"], 4),
        (&["deploy", "/no/such/file.yaml"], 1),
        (&["deploy"], 2),
        (&["deploy", file, "--deposit", "1ustoa"], 2),
    ];
    for (args, code) in cases {
        let output = tenant.client.command(args).output().await?;
        ensure!(output.status.code() == Some(code), "stoa {args:?}: {output:?}");
    }
    let args = nobody.iter().chain(&["query", "providers"]);
    let output = tenant.client.command(args).output().await?;
    ensure!(output.status.code() == Some(6), "nobody answers: {output:?}");
    Ok(())
}
