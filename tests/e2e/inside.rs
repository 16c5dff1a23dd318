//! A tenant goes into its running instances: commands, files, ports, logs over a restart, events,
//! and a token in place of a certificate. Another tenant does not.

use std::{process::Stdio, time::Duration};

use anyhow::{ensure, Context, Result};
use serde_json::Value;
use stoa_tests::Terminal;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
};

use crate::world::{demo_file, Deployed, Tenant, World};

pub async fn a_tenant_goes_into_its_instances_and_another_does_not(world: World) -> Result<()> {
    let tenant = world.new_tenant("plumber").await?;
    let deployed = tenant.deploy(&demo_file("app-v1.yaml")?).await?;
    let dseq = deployed.dseq.as_str();
    commands(&tenant, dseq).await?;
    on_a_terminal(&tenant, dseq).await?;
    files(&world, &tenant, dseq).await?;
    port(&tenant, dseq).await?;
    logs_over_a_restart(&tenant, dseq).await?;
    events(&tenant, dseq).await?;
    token(&tenant, &deployed).await?;
    let stranger = world.new_tenant("burglar").await?;
    let id = format!("{}/{dseq}", tenant.address);
    // Its certificate is on chain, and not the lease's.
    stranger.client.json(&["tx", "create-cert"]).await?;
    let output = stranger.client.command(["exec", &id, "api", "--", "id"]).output().await?;
    ensure!(output.status.code() == Some(125), "a stranger in the house: {output:?}");
    tenant.close(&deployed).await?;
    Ok(())
}

/// Stdin, stdout, stderr and the exit code are the command's own.
async fn commands(tenant: &Tenant, dseq: &str) -> Result<()> {
    let line = "cat; echo problem >&2; exit 7";
    let mut command = tenant.client.command(["exec", dseq, "api", "--", "sh", "-c", line]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().context("stdin")?;
    stdin.write_all(b"a line\n").await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    ensure!(output.status.code() == Some(7), "{output:?}");
    ensure!(output.stdout == b"a line\n" && output.stderr == b"problem\n", "{output:?}");
    let output = tenant.client.command(["exec", dseq, "nowhere", "--", "id"]).output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(125) && said.contains("there are:"), "{output:?}");
    Ok(())
}

/// What a person sees.
async fn on_a_terminal(tenant: &Tenant, dseq: &str) -> Result<()> {
    // Older engines give the terminal its size a moment after the command has begun.
    let line = "until test \"$(busybox stty size)\" = '100 200'; do sleep 1; done; \
                busybox stty size";
    let shell = tenant.client.command(["shell", dseq, "api", "--", "busybox", "sh", "-c", line]);
    let terminal = Terminal::start(&shell)?;
    let (screens, status) = terminal.until_end().await?;
    let last = screens.last().map(String::as_str).unwrap_or_default();
    ensure!(status.success() && last.contains("100 200"), "{status}: {last}");
    Ok(())
}

async fn files(world: &World, tenant: &Tenant, dseq: &str) -> Result<()> {
    let dir = world.dir("inside")?;
    std::fs::create_dir_all(dir.join("tree/deep"))?;
    std::fs::write(dir.join("tree/deep/file"), b"kept")?;
    let (tree, back) = (dir.join("tree").display().to_string(), dir.join("back"));
    let sent = tenant.client.json(&["cp", dseq, &tree, "api:/data/"]).await?;
    ensure!(sent.get("entries") == Some(&Value::from(3)), "{sent}");
    let seen = tenant.client.command(["exec", dseq, "api", "--", "cat", "/data/tree/deep/file"]);
    let seen = output(seen).await?;
    ensure!(seen == "kept", "{seen}");
    let back_text = back.display().to_string();
    tenant.client.json(&["cp", dseq, "api:/data/tree", &back_text]).await?;
    ensure!(std::fs::read(back.join("deep/file"))? == b"kept", "it came back otherwise");
    Ok(())
}

async fn output(mut command: Command) -> Result<String> {
    let output = command.output().await?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

async fn port(tenant: &Tenant, dseq: &str) -> Result<()> {
    let args = ["port-forward", dseq, "web", "0:8080", "-o", "json"];
    let mut command = tenant.client.command(args);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("stdout")?).lines();
    let line = lines.next_line().await?.context("it ended")?;
    let told: Value = serde_json::from_str(&line)?;
    let local = told.get("local").and_then(Value::as_str).context("local")?;
    // Two at once on one connection to the provider.
    for _ in 0..2 {
        let mut stream = TcpStream::connect(local).await?;
        stream.write_all(b"GET / HTTP/1.0\r\nhost: web\r\n\r\n").await?;
        let mut page = String::new();
        stream.read_to_string(&mut page).await?;
        ensure!(page.contains("version 1"), "{page}");
    }
    child.kill().await?;
    Ok(())
}

/// Who follows sees what is written after the restart, and nothing twice.
async fn logs_over_a_restart(tenant: &Tenant, dseq: &str) -> Result<()> {
    let args = ["logs", dseq, "-s", "api", "-f", "-n", "0", "--timestamps"];
    let mut command = tenant.client.command(args);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("stdout")?).lines();
    // To the log of the container, past the command's own output.
    let write = |word: &str| {
        let line = format!("echo {word} > /proc/1/fd/1");
        tenant.client.command(["exec", dseq, "api", "--", "sh", "-c", line.as_str()])
    };
    // Until the stream stands.
    let mut told = vec![];
    while told.is_empty() {
        output(write("before")).await?;
        let next = tokio::time::timeout(Duration::from_secs(1), lines.next_line()).await;
        if let Ok(line) = next {
            told.push(line?.context("the log ended")?);
        }
    }
    let done = tenant.client.json(&["restart", dseq, "api"]).await?;
    ensure!(done.get("instances") == Some(&serde_json::json!([0])), "{done}");
    output(write("after")).await?;
    while !told.last().is_some_and(|line| line.ends_with("after")) {
        told.push(lines.next_line().await?.context("the log ended")?);
    }
    child.kill().await?;
    let mut once = told.clone();
    once.dedup();
    ensure!(once == told, "a line came twice: {told:?}");
    Ok(())
}

async fn events(tenant: &Tenant, dseq: &str) -> Result<()> {
    let printed = output(tenant.client.command(["events", dseq, "-o", "json"])).await?;
    let events: Vec<Value> = printed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let says = |kind: &str, word: &str| {
        events.iter().any(|event| {
            let text = |name| event.get(name).and_then(Value::as_str).unwrap_or_default();
            text("kind") == kind && text("message").contains(word)
        })
    };
    for (kind, word) in [
        ("manifest", "accepted"),
        ("image", "is here"),
        ("engine", "started"),
        ("state", "running"),
        ("tenant", "a restart was asked for"),
        ("engine", "ended with code"),
    ] {
        ensure!(says(kind, word), "no event {kind} says {word:?}: {printed}");
    }
    Ok(())
}

/// A program without a certificate, by HTTP: for what the token says, and no more.
async fn token(tenant: &Tenant, deployed: &Deployed) -> Result<()> {
    let lease = deployed.leases.first().context("no lease")?;
    let args = ["provider", "token", &lease.provider, "--scope", "status", "--lease", &lease.lease];
    let token = output(tenant.client.command(args)).await?;
    let provider = tenant.client.json(&["query", "provider", &lease.provider]).await?;
    let uri = provider.pointer("/provider/host_uri").and_then(Value::as_str);
    let uri = uri.with_context(|| format!("{provider}"))?;
    let place = lease.lease.rsplit_once('/').context("a lease's id")?.0;
    let ask = |path: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-sk", "-H", &format!("Authorization: Bearer {}", token.trim())]);
        curl.arg(format!("{uri}/lease/{place}/{path}"));
        curl
    };
    let status: Value = serde_json::from_str(&output(ask("status")).await?)?;
    ensure!(status.get("phase").is_some(), "{status}");
    let refused: Value = serde_json::from_str(&output(ask("logs")).await?)?;
    ensure!(refused.get("code") == Some(&Value::from("PermissionDenied")), "{refused}");
    Ok(())
}
