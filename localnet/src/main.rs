//! `stoa-localnet`: whole Stoa networks on one machine.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{bail, Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use stoa_localnet::{
    control, demo, parse_block_time, soak, status, take_down, up, Options, DOWNTIME_WINDOW,
};

/// Whole Stoa networks on one machine: validators, providers, funded keys.
#[derive(Parser)]
#[command(name = "stoa-localnet", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a network and keep it, until Ctrl-C or in the background
    Up(UpArgs),
    /// Show addresses, heights and funded keys
    Status {
        #[command(flatten)]
        dir: DirArgs,
        /// What is printed
        #[arg(long, short, value_enum, default_value_t)]
        output: Output,
    },
    /// Kill a program of the network at once: node0, provider1, tunnel2
    Kill {
        /// Its name
        name: String,
        #[command(flatten)]
        dir: DirArgs,
    },
    /// End a program of the network, where it runs, and start it again
    Restart {
        /// Its name
        name: String,
        #[command(flatten)]
        dir: DirArgs,
    },
    /// Show the way of one deployment on a network of its own, from file to closed
    Demo(DemoArgs),
    /// Keep many leases under random kills for a while, then check that nothing was lost
    Soak(SoakArgs),
    /// Take the network down with all that its providers run
    Down {
        #[command(flatten)]
        dir: DirArgs,
    },
}

#[derive(Args)]
struct DirArgs {
    /// The network's directory [default: ~/.stoa-localnet]
    #[arg(long, env = "STOA_LOCALNET_DIR")]
    dir: Option<PathBuf>,
}

#[derive(Args)]
struct UpArgs {
    /// How many validators
    #[arg(long, default_value_t = 4)]
    validators: usize,
    /// How many providers
    #[arg(long, default_value_t = 3)]
    providers: usize,
    #[command(flatten)]
    dir: DirArgs,
    /// Leave it running and return once it works
    #[arg(long)]
    detach: bool,
    /// Time from block to block, such as 1s or 200ms
    #[arg(long, default_value = "1s", value_parser = parse_block_time)]
    block_time: Duration,
    /// The last blocks of which a validator has to sign half, or it is jailed
    #[arg(long, default_value_t = DOWNTIME_WINDOW)]
    downtime_window: u64,
    /// Each provider's prices in percent of the usual ones, such as 100,90,120
    #[arg(long, value_delimiter = ',')]
    bid_prices: Vec<u64>,
}

#[derive(Args)]
struct DemoArgs {
    /// The directory of app-v1.yaml and app-v2.yaml [default: localnet/demo]
    #[arg(long)]
    app: Option<PathBuf>,
    /// Where the network lies while it runs [default: a temporary one]
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Args)]
struct SoakArgs {
    /// How long, in seconds
    #[arg(long, default_value_t = 900)]
    seconds: u64,
    /// How many leases
    #[arg(long, default_value_t = 50)]
    leases: usize,
    /// How many validators
    #[arg(long, default_value_t = 3)]
    validators: usize,
    /// How many providers
    #[arg(long, default_value_t = 2)]
    providers: usize,
    /// What the random choices follow from [default: another each time]
    #[arg(long)]
    seed: Option<u64>,
    /// The directory of an engine that `scripts/engine.sh start` started
    #[arg(long)]
    engine: PathBuf,
    /// scripts/engine.sh
    #[arg(long, default_value = "scripts/engine.sh")]
    engine_script: PathBuf,
    /// What the deployments run
    #[arg(long, default_value = "localnet/demo/images/web-v1.tar")]
    image: PathBuf,
    /// Where the network lies while it runs [default: a temporary one]
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

impl DirArgs {
    fn resolve(self) -> Result<PathBuf> {
        let dir = match self.dir {
            Some(dir) => dir,
            None => {
                let home =
                    std::env::var_os("HOME").context("no HOME: name a directory by --dir")?;
                PathBuf::from(home).join(".stoa-localnet")
            }
        };
        std::path::absolute(&dir).with_context(|| dir.display().to_string())
    }
}

fn main() -> ExitCode {
    stoa_client::install_crypto();
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stoa-localnet: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Up(args) => run_up(args).await,
            Command::Status { dir, output } => print_status(dir, output).await,
            Command::Kill { name, dir } => {
                control::ask(&dir.resolve()?, &control::Order::Kill(name)).await
            }
            Command::Restart { name, dir } => {
                control::ask(&dir.resolve()?, &control::Order::Restart(name)).await
            }
            Command::Demo(args) => run_demo(args).await,
            Command::Soak(args) => run_soak(args).await,
            Command::Down { dir } => {
                let dir = dir.resolve()?;
                tokio::task::spawn_blocking(move || take_down(&dir)).await?
            }
        }
    })
}

async fn run_up(args: UpArgs) -> Result<()> {
    let dir = args.dir.resolve()?;
    let mut options = Options::new(&dir, args.validators, args.providers)?;
    options.block_time = args.block_time;
    options.downtime_window = args.downtime_window;
    set_prices(&mut options, &args.bid_prices)?;
    if !args.detach {
        return up::foreground(options).await;
    }
    let given = std::env::args_os().skip(1).filter(|argument| argument != "--detach");
    up::detached(&dir, &given.collect::<Vec<_>>()).await?;
    print_status(DirArgs { dir: Some(dir) }, Output::Text).await
}

async fn run_demo(args: DemoArgs) -> Result<()> {
    let usual = PathBuf::from("localnet/demo");
    let app = args.app.unwrap_or_else(|| match usual.is_dir() {
        true => usual,
        false => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("demo"),
    });
    let temporary = || std::env::temp_dir().join(format!("stoa-demo-{}", std::process::id()));
    let dir = args.dir.unwrap_or_else(temporary);
    demo::run(demo::DemoOptions { app, network: Options::new(&dir, 4, 3)? }).await
}

async fn run_soak(args: SoakArgs) -> Result<()> {
    let absolute =
        |path: PathBuf| std::path::absolute(&path).with_context(|| path.display().to_string());
    let temporary = || std::env::temp_dir().join(format!("stoa-soak-{}", std::process::id()));
    let engine =
        soak::OwnEngine { script: absolute(args.engine_script)?, dir: absolute(args.engine)? };
    let dir = args.dir.unwrap_or_else(temporary);
    let mut network = Options::new(&dir, args.validators, args.providers)?;
    network.engine = Some(engine.socket());
    for provider in &mut network.providers {
        provider.price_percent = 100;
    }
    soak::run(soak::SoakOptions {
        network,
        engine,
        image: absolute(args.image)?,
        leases: args.leases,
        lasts: Duration::from_secs(args.seconds),
        seed: args.seed.unwrap_or_else(rand::random),
    })
    .await
}

fn set_prices(options: &mut Options, percents: &[u64]) -> Result<()> {
    if percents.len() > options.providers.len() || percents.iter().any(|p| *p == 0 || *p > 10_000) {
        bail!("--bid-prices has at most one number from 1 to 10000 for each provider");
    }
    for (provider, percent) in options.providers.iter_mut().zip(percents) {
        provider.price_percent = *percent;
    }
    Ok(())
}

async fn print_status(dir: DirArgs, output: Output) -> Result<()> {
    let status = status::read(&dir.resolve()?).await?;
    match output {
        Output::Text => say(&status.to_text()),
        Output::Json => say(&(serde_json::to_string_pretty(&status)? + "\n")),
    }
    Ok(())
}

/// Writes data to stdout. That the reader has gone (`| head`) is no fault.
fn say(text: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
        let parse = |args: &[&str]| Cli::try_parse_from(args).map(drop);
        assert!(parse(&["stoa-localnet", "up", "--block-time", "200ms", "--detach"]).is_ok());
        assert!(parse(&["stoa-localnet", "up", "--block-time", "fast"]).is_err());
        assert!(parse(&["stoa-localnet", "kill"]).is_err());
    }
}
