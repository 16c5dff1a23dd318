//! `stoa net`: a deployment's connection graph.

mod graph;
mod svg;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use serde_json::json;
use stoa_client::gateway::{channel, error_of, roots_of, tenant_client};
use stoa_proto::{
    gateway::v1::{Connection, ConnectionState, ConnectionsRequest},
    provider::v1::Provider,
    types::v1::DeploymentId,
};

use crate::{
    context::Context, deploy::Tenant, exit::Failure, inside::live_leases, json, out, text,
};
use graph::{merge, End, Wire};

/// A provider that does not answer so long is shown as silent.
const PATIENCE: Duration = Duration::from_secs(8);

/// Arguments of `stoa net`.
#[derive(Debug, Args)]
pub struct NetArgs {
    /// OWNER/DSEQ, or DSEQ of one's own
    pub id: String,
    /// Show each end's certificate and the root on chain that vouches for it
    #[arg(long)]
    pub certificates: bool,
    /// Write a picture of the graph there
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// Runs it.
pub async fn run(context: &Context, args: NetArgs) -> Result<(), Failure> {
    let id = context.deployment_id(&args.id)?;
    let tenant = Tenant::open(context).await?;
    let leases = live_leases(&tenant, &id).await?;
    let providers: BTreeSet<String> = leases.into_iter().map(|lease| lease.provider).collect();
    let mut records = BTreeMap::new();
    let mut told = vec![];
    for address in providers {
        let record = tenant.chain.query().provider(&address).await?.provider.unwrap_or_default();
        let asked = tokio::time::timeout(PATIENCE, ask(&tenant, &record, &id)).await;
        let said = asked.unwrap_or_else(|_| Err(Failure::new("the provider does not answer")));
        told.push((address.clone(), said.map_err(|error| error.to_string())));
        records.insert(address, record);
    }
    let silent: Vec<(&String, &String)> =
        told.iter().filter_map(|(of, said)| Some((of, said.as_ref().err()?))).collect();
    let ends = told.iter().filter_map(|(_, said)| said.as_ref().ok()).flatten();
    let wires = merge(ends.cloned());
    if let Some(path) = &args.svg {
        std::fs::write(path, svg::draw(&wires))
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        out::step(&format!("the graph is drawn in {}", path.display()));
    }
    if context.is_json() {
        return print_json(&told);
    }
    for (provider, error) in silent {
        out::note(&format!("{}: {error}", text::short(provider)));
    }
    if wires.is_empty() {
        out::note("no service of this deployment is exposed to another one");
        return Ok(());
    }
    print_table(&wires);
    if args.certificates {
        print_certificates(&wires, &records);
    }
    Ok(())
}

async fn ask(
    tenant: &Tenant,
    record: &Provider,
    id: &DeploymentId,
) -> Result<Vec<Connection>, Failure> {
    let identity = tenant.identity().await?;
    let mut client = tenant_client(channel(record, Some(&identity)).await?);
    let request = ConnectionsRequest { deployment: Some(id.clone()) };
    let answer = client.connections(request).await.map_err(|status| error_of(&status))?;
    Ok(answer.into_inner().connections)
}

type Told = (String, Result<Vec<Connection>, String>);

fn print_json(told: &[Told]) -> Result<(), Failure> {
    let all: Vec<_> = told
        .iter()
        .map(|(provider, said)| {
            Ok(match said {
                Ok(connections) => {
                    json!({ "provider": provider, "connections": json::list(connections)? })
                }
                Err(error) => json!({ "provider": provider, "error": error }),
            })
        })
        .collect::<Result<_, Failure>>()?;
    out::print_json(&all)
}

fn print_table(wires: &[Wire]) {
    let header =
        ["FROM", "TO", "PORT", "STATE", "OPEN", "SENT", "RECEIVED", "RTT", "CERTIFICATES", ""];
    let mut table = out::table(&header);
    for wire in wires {
        let (out_end, in_end) = (wire.outgoing.as_ref(), wire.incoming.as_ref());
        let seen = out_end.or(in_end);
        // The dialling end counts from its own side.
        let (sent, received) = match (out_end, in_end) {
            (Some(end), _) => (end.bytes_out, end.bytes_in),
            (None, Some(end)) => (end.bytes_in, end.bytes_out),
            (None, None) => (0, 0),
        };
        let rtt = out_end.map_or(0, |end| end.rtt_micros);
        table.add_row([
            place(&wire.from),
            place(&wire.to),
            format!("{}/{}", wire.port, wire.transport),
            state(wire).into(),
            seen.map_or(0, |end| end.connections_open).to_string(),
            text::bytes(sent),
            text::bytes(received),
            if rtt == 0 { "-".into() } else { milliseconds(rtt) },
            soonest_end(wire),
            problem(wire),
        ]);
    }
    out::print_table(&table);
}

/// `web@here stoa1abc…wxyz`.
fn place(end: &End) -> String {
    format!("{}@{} {}", end.service, end.placement, text::short(&end.provider))
}

fn state(wire: &Wire) -> &'static str {
    let states = [&wire.outgoing, &wire.incoming];
    let any = |state| states.iter().any(|end| end.as_ref().is_some_and(|e| e.state() == state));
    if any(ConnectionState::Down) {
        "down"
    } else if any(ConnectionState::Up) {
        "up"
    } else {
        "waiting"
    }
}

fn problem(wire: &Wire) -> String {
    let said = [&wire.outgoing, &wire.incoming].into_iter().flatten();
    let mut words: Vec<&str> = said.map(|end| end.message.as_str()).collect();
    words.retain(|text| !text.is_empty());
    words.dedup();
    let missing = match (&wire.outgoing, &wire.incoming) {
        (Some(_), None) => Some("the dialled end does not have it"),
        (None, Some(_)) => Some("the dialling end does not have it"),
        _ => None,
    };
    words.extend(missing);
    words.join("; ")
}

fn soonest_end(wire: &Wire) -> String {
    let ends = [&wire.outgoing, &wire.incoming].into_iter().flatten().map(|end| end.not_after);
    let soonest = ends.filter(|at| *at > 0).min().unwrap_or(0);
    text::when(u64::try_from(soonest).unwrap_or(0), text::now())
}

fn milliseconds(micros: u64) -> String {
    format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10)
}

fn print_certificates(wires: &[Wire], records: &BTreeMap<String, Provider>) {
    for wire in wires {
        let to = format!("{}:{}/{}", wire.to.service, wire.port, wire.transport);
        out::print_lines(&format!("\n{} > {to}", wire.from.service));
        for (end, shown) in [(&wire.from, &wire.outgoing), (&wire.to, &wire.incoming)] {
            let Some(shown) = shown else { continue };
            out::print_lines(&format!("  {}", place(end)));
            for line in graph::vouched(&shown.certificate, records.get(&end.provider)) {
                out::print_lines(&format!("    {line}"));
            }
        }
    }
}

/// The roots that vouch for a provider now.
fn roots(record: &Provider) -> Vec<Vec<u8>> {
    roots_of(record, text::now())
}
