//! `stoa-localnet soak`: many leases, small traffic, and kills of everything
//! at random, for a while. In the end every active lease must serve, nothing
//! else may run, and the providers' ledgers must equal the chain to the unit.

mod chaos;
mod engine;
mod tally;
mod tenants;
mod verdict;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{ensure, Context, Result};
use tokio::sync::watch;

use crate::{demo::Holdings, up::asked_to_end, Localnet, Options};
pub use engine::OwnEngine;
use tally::Tally;
use tenants::Tenants;

/// What a soak is to be.
#[derive(Clone, Debug)]
pub struct SoakOptions {
    /// The network to make; its providers use the engine below.
    pub network: Options,
    /// The engine that may be killed.
    pub engine: OwnEngine,
    /// The tarball that the deployments run.
    pub image: PathBuf,
    /// How many leases are kept.
    pub leases: usize,
    /// How long kills and traffic go on.
    pub lasts: Duration,
    /// What the random choices follow from.
    pub seed: u64,
}

/// Runs it and prints a table.
///
/// # Errors
/// What did not hold, with where the logs are.
pub async fn run(options: SoakOptions) -> Result<()> {
    let mut end = Box::pin(asked_to_end()?);
    println!("seed {}; {} leases; {} s", options.seed, options.leases, options.lasts.as_secs());
    let dir = options.network.dir.clone();
    let network = Arc::new(Localnet::prepare(options.network.clone())?);
    let tally = Arc::new(Tally::default());
    let outcome = tokio::select! {
        outcome = soak(&options, &network, &tally) => outcome,
        () = &mut end => Err(anyhow::anyhow!("interrupted")),
    };
    println!("\n{}", tally.table(options.seed));
    let down = network.down();
    match outcome {
        Ok(()) => {
            down?;
            std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
            println!("SOAK OK");
            Ok(())
        }
        Err(error) => {
            if let Err(down) = down {
                eprintln!("taking the network down: {down:#}");
            }
            Err(error.context(format!(
                "the soak failed; seed {}; all logs are in {}/logs",
                options.seed,
                dir.display()
            )))
        }
    }
}

async fn soak(options: &SoakOptions, network: &Arc<Localnet>, tally: &Arc<Tally>) -> Result<()> {
    network.bring_up(&|text| println!("{text}")).await?;
    let chain = network.chain().await?;
    let mut tenants = Tenants::make(options, network, &chain, Arc::clone(tally)).await?;
    let accounts = tenants.accounts(&network.state());
    let before = Holdings::now(&chain, &accounts).await?;
    println!("deploying {}", options.leases);
    tenants.deploy_all(options.leases).await?;

    println!("kills and traffic");
    let (stop, stopped) = watch::channel(false);
    let traffic = tenants.begin_traffic(options.seed, &stopped);
    let chaos = chaos::begin(options, network, tally, &stopped);
    tokio::time::sleep(options.lasts).await;
    let _ = stop.send(true);
    chaos.await.context("the kills broke off")??;
    let mut tenants = traffic.end().await?;

    println!("every active lease must serve");
    verdict::everything_runs(network, &options.engine).await?;
    tenants.close_uncertain(&chain).await?;
    let serving = verdict::all_serve(network, &chain, &tenants, tally).await?;
    let most_lost = options.leases / 2;
    ensure!(serving >= options.leases - most_lost, "only {serving} leases are left to serve");
    verdict::nothing_else_runs(network, &chain, &options.engine, tally).await?;

    println!("all are closed, and nothing may be left");
    tenants.close_all().await?;
    verdict::nothing_is_live(&chain, &network.state()).await?;
    verdict::nothing_else_runs(network, &chain, &options.engine, tally).await?;
    verdict::ledgers_equal_the_chain(options, network, &chain, &before, &accounts, tally).await
}
