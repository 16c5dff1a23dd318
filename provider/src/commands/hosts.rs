//! `stoa-provider hosts`: the provider's other machines. All by files, so
//! that it works whether the daemon runs or not; the daemon follows within a
//! second.

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use comfy_table::Table;

use super::agent::read_document;
use super::status::Output;
use crate::config::{Config, Cores, Size};
use crate::fleet::{HostReport, Placements};
use crate::hosts::{
    directory, state_file, Authority, Declared, HostEntry, HostOrder, Request, Roster, RosterFile,
    LOCAL,
};

#[derive(Debug, Clone, Subcommand)]
pub enum HostsCommand {
    /// Signs the request that `stoa-provider agent init` printed there (from
    /// standard input), and prints what `stoa-provider agent join` takes.
    Add(HostsAdd),
    /// How each machine is.
    List {
        #[arg(long, short, value_enum, default_value = "table")]
        output: Output,
    },
    /// Takes a machine out of the provider: one that has nothing, or is dead.
    Remove { name: String },
    /// Says that a machine will not come back: what has its place there is
    /// placed anew, with empty volumes. Should it come back, what it has is
    /// removed.
    Dead { name: String },
    /// Nothing new is placed there, and what has no persistent volumes moves.
    Drain { name: String },
    /// Uses a machine again that was drained or dead.
    Use { name: String },
}

#[derive(Debug, Clone, Args)]
pub struct HostsAdd {
    /// As given to `agent init`.
    pub name: String,
    /// Where this daemon reaches its agent.
    #[arg(long)]
    pub address: SocketAddr,
    /// Where the data plane reaches its relay; the next port unless given.
    #[arg(long)]
    pub relay: Option<SocketAddr>,
    /// What of it is for sale; all that it has unless given.
    #[arg(long)]
    pub cpu: Option<Cores>,
    #[arg(long)]
    pub memory: Option<Size>,
    #[arg(long)]
    pub storage: Option<Size>,
}

pub(super) fn run(config: &Config, command: HostsCommand) -> anyhow::Result<()> {
    let dir = directory(&config.data_dir);
    match command {
        HostsCommand::Add(arguments) => add(config, &arguments),
        HostsCommand::List { output } => list(config, output),
        HostsCommand::Remove { name } => RosterFile::new(&dir).update(|roster| {
            let entry = entry(roster, &name)?;
            let placements = Placements::open(&dir.join("placements.json"))?;
            let count = placements.on(&name).len();
            anyhow::ensure!(
                count == 0 || entry.order == HostOrder::Dead,
                "{count} instances have their places on {name}; drain it and let their leases \
                 end, or say `stoa-provider hosts dead {name}` first"
            );
            roster.hosts.remove(&name);
            Ok(())
        }),
        HostsCommand::Dead { name } => {
            anyhow::ensure!(name != LOCAL, "the daemon's own machine cannot be dead");
            order(&dir, &name, HostOrder::Dead)
        }
        HostsCommand::Drain { name } => order(&dir, &name, HostOrder::Draining),
        HostsCommand::Use { name } => order(&dir, &name, HostOrder::Active),
    }
}

fn entry<'a>(roster: &'a mut Roster, name: &str) -> anyhow::Result<&'a mut HostEntry> {
    let known: Vec<String> = roster.hosts.keys().cloned().collect();
    roster.hosts.get_mut(name).ok_or_else(|| {
        anyhow::anyhow!("no machine {name}; there are {LOCAL}, {}", known.join(", "))
    })
}

fn order(dir: &std::path::Path, name: &str, order: HostOrder) -> anyhow::Result<()> {
    RosterFile::new(dir).update(|roster| {
        match name {
            LOCAL => roster.local = order,
            name => entry(roster, name)?.order = order,
        }
        Ok(())
    })?;
    println!("{name} is {} from now on", order.as_str());
    Ok(())
}

fn add(config: &Config, arguments: &HostsAdd) -> anyhow::Result<()> {
    let provider = config.key_store().show(&config.key.name)?.address;
    let request: Request = read_document("what `stoa-provider agent init` printed")?;
    anyhow::ensure!(
        request.name == arguments.name,
        "the request is of the machine {}, not of {}",
        request.name,
        arguments.name
    );
    let dir = directory(&config.data_dir);
    let authority = Authority::open(&dir, &provider)?;
    let (joined, fingerprint) = authority.sign(&request, &provider)?;
    let next = SocketAddr::new(arguments.address.ip(), arguments.address.port().saturating_add(1));
    let declared =
        Declared { cpu: arguments.cpu, memory: arguments.memory, storage: arguments.storage };
    RosterFile::new(&dir).update(|roster| {
        let order = roster.hosts.get(&arguments.name).map(|known| known.order).unwrap_or_default();
        let entry = HostEntry {
            address: arguments.address,
            relay: arguments.relay.unwrap_or(next),
            fingerprint,
            declared,
            order,
        };
        roster.hosts.insert(arguments.name.clone(), entry);
        Ok(())
    })?;
    println!("{}", serde_json::to_string(&joined)?);
    Ok(())
}

fn list(config: &Config, output: Output) -> anyhow::Result<()> {
    let path = state_file(&config.data_dir);
    let reports: Vec<HostReport> = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => vec![],
        Err(error) => return Err(error.into()),
    };
    if output == Output::Json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.set_header(["machine", "state", "instances", "taken", "for sale", ""]);
    for host in &reports {
        table.add_row([
            host.name.clone(),
            host.state.as_str().into(),
            host.instances.to_string(),
            host.taken.to_string(),
            host.total.to_string(),
            host.why.clone(),
        ]);
    }
    println!("{table}");
    Ok(())
}
