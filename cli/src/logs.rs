//! `stoa logs`: what a deployment's services print.

use std::{collections::HashMap, io::Write, time::Duration};

use clap::Args;
use futures::{future::join_all, StreamExt};
use serde_json::json;
use stoa_client::{gateway::error_of, tls::Identity, Error};
use stoa_proto::{
    gateway::v1::{LogLine, LogsRequest},
    types::v1::BidId,
};
use time::{format_description::well_known::Rfc3339, OffsetDateTime};
use tokio::sync::mpsc;

use crate::{
    context::Context,
    deploy::Tenant,
    exit::{Code, Failure},
    gateway::connect,
    inside::live_leases,
    out, text,
};

/// The time of each instance's last line.
type Given = HashMap<(String, u32), String>;

/// Between attempts at a provider that went away while following.
const RETRY: Duration = Duration::from_secs(2);

/// Arguments of `stoa logs`.
#[derive(Clone, Debug, Args)]
pub struct LogsArgs {
    /// OWNER/DSEQ, or DSEQ of one's own
    pub id: String,
    /// Only this service
    #[arg(long, short)]
    pub service: Option<String>,
    /// Only the instances with this index
    #[arg(long, short)]
    pub instance: Option<u32>,
    /// Go on with what comes
    #[arg(long, short)]
    pub follow: bool,
    /// Last lines of each instance; 0: none [default: all that is kept]
    #[arg(long, short = 'n')]
    pub tail: Option<u32>,
    /// Only what is younger, such as 90s, 15m, 2h, 1d
    #[arg(long, value_parser = age)]
    pub since: Option<u64>,
    /// With the time at which each line was written
    #[arg(long, short = 't')]
    pub timestamps: bool,
}

/// Seconds of `90s`, `15m`, `2h`, `1d`.
pub fn age(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no duration, such as 90s, 15m, 2h or 1d");
    let (number, factor) = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .ok_or_else(wrong)?;
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).ok_or_else(wrong)
}

/// Runs it.
pub async fn run(context: &Context, args: LogsArgs) -> Result<(), Failure> {
    let id = context.deployment_id(&args.id)?;
    let tenant = Tenant::open(context).await?;
    let leases = live_leases(&tenant, &id).await?;
    let identity = tenant.identity().await?;
    let (lines, receiver) = mpsc::channel(256);
    let is_json = context.is_json();
    let printer = tokio::spawn(print(receiver, is_json, args.timestamps));
    let followed =
        leases.into_iter().map(|lease| follow(&tenant, &identity, lease, &args, lines.clone()));
    let results = join_all(followed).await;
    drop(lines);
    let _ = printer.await;
    verdict(results, args.service.is_some() || args.instance.is_some())
}

/// One service runs at few of the leases: "not here" of the others is no
/// failure while any has it.
fn verdict(results: Vec<Result<(), Failure>>, of_service: bool) -> Result<(), Failure> {
    let any = results.iter().any(Result::is_ok);
    let counts = |r: &Result<(), Failure>| match r {
        Err(e) => !(of_service && any && e.code == Code::NotFound),
        Ok(()) => false,
    };
    results.into_iter().find(|r| counts(r)).unwrap_or(Ok(()))
}

/// One lease's lines; while following, over reconnects without repeating.
async fn follow(
    tenant: &Tenant,
    identity: &Identity,
    lease: BidId,
    args: &LogsArgs,
    lines: mpsc::Sender<LogLine>,
) -> Result<(), Failure> {
    let mut request = LogsRequest {
        lease: Some(lease.clone()),
        service: args.service.clone().unwrap_or_default(),
        follow: args.follow,
        tail: args.tail,
        since: args.since.map_or(0, |age| text::now().saturating_sub(age)),
        instance: args.instance,
    };
    // When each instance wrote the last line that was taken.
    let mut given = Given::default();
    loop {
        let ended = stream(tenant, identity, &lease, request.clone(), &lines, &mut given).await;
        match ended {
            // All was read, or the lease is over.
            Ok(()) => return Ok(()),
            Err(error) if !args.follow || !error.is_transient() => return Err(error.into()),
            _ => {}
        }
        if lines.is_closed() {
            return Ok(());
        }
        // The provider gives whole seconds; what was taken is not taken twice.
        let broken_at = given.values().filter_map(|time| second_of(time)).min();
        let broken_at = broken_at.unwrap_or_else(|| text::now().saturating_sub(1));
        request.since = broken_at;
        request.tail = None;
        out::doing("the provider's connection ended; connecting again");
        tokio::time::sleep(RETRY).await;
    }
}

/// Seconds since 1970 of the engine's time.
fn second_of(time: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(time, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp()).ok()
}

async fn stream(
    tenant: &Tenant,
    identity: &Identity,
    lease: &BidId,
    request: LogsRequest,
    lines: &mpsc::Sender<LogLine>,
    given: &mut Given,
) -> Result<(), Error> {
    let before = given.clone();
    let (mut gateway, _) = connect(&tenant.chain, &lease.provider, identity).await?;
    let mut stream = gateway.logs(request).await.map_err(|s| error_of(&s))?.into_inner();
    while let Some(line) = stream.next().await {
        let line = line.map_err(|s| error_of(&s))?;
        let of = (line.service.clone(), line.instance);
        if before.get(&of).is_some_and(|time| line.time <= *time) {
            continue;
        }
        given.insert(of, line.time.clone());
        if lines.send(line).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn print(mut lines: mpsc::Receiver<LogLine>, is_json: bool, timestamps: bool) {
    while let Some(line) = lines.recv().await {
        if write(&line, is_json, timestamps).is_err() {
            return;
        }
    }
}

fn write(line: &LogLine, is_json: bool, timestamps: bool) -> std::io::Result<()> {
    let content = String::from_utf8_lossy(&line.line);
    let content = content.trim_end_matches(['\n', '\r']);
    let mut stdout = std::io::stdout().lock();
    if is_json {
        let value = json!({
            "service": line.service,
            "instance": line.instance,
            "stream": if line.stderr { "stderr" } else { "stdout" },
            "time": line.time,
            "line": content,
        });
        writeln!(stdout, "{value}")?;
    } else {
        let time = if timestamps { format!("{} ", line.time) } else { String::new() };
        writeln!(stdout, "{}/{} | {time}{content}", line.service, line.instance)?;
    }
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_elsewhere_is_no_failure() {
        let absent = || Err(Failure::with(Code::NotFound, "not here"));
        let broken = || Err(Failure::with(Code::Unreachable, "gone"));
        assert!(verdict(vec![absent(), Ok(())], true).is_ok());
        assert!(verdict(vec![absent(), absent()], true).is_err());
        assert!(verdict(vec![absent(), Ok(())], false).is_err());
        assert_eq!(verdict(vec![broken(), Ok(())], true).unwrap_err().code, Code::Unreachable);
    }

    #[test]
    fn ages() {
        assert_eq!(age("90s").unwrap(), 90);
        assert_eq!(age("15m").unwrap(), 900);
        assert_eq!(age("1d").unwrap(), 86_400);
        for wrong in ["", "s", "5", "1w", "-1s", "é"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
