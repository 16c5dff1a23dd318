//! End to end, on real CometBFT and a real Docker engine.

mod adoption;
mod bad_manifests;
mod bad_transactions;
mod command_line;
mod fail_points;
mod images;
mod kill_nodes;
mod published_sdl;
mod world;

use std::{env, process::ExitCode, time::Duration};

use anyhow::Result;
use stoa_localnet::up::asked_to_end;
use stoa_tests::{run, MachineLock, Scenario, Wanted};
use world::World;

macro_rules! scenarios {
    ($($module:ident :: $name:ident within $seconds:literal s),* $(,)?) => {
        vec![$(Scenario {
            name: stringify!($name),
            within: Duration::from_secs($seconds),
            run: |world| Box::pin($module::$name(world)),
        }),*]
    };
}

/// In the order in which they run: what shakes the network most comes last.
fn all() -> Vec<Scenario<World>> {
    scenarios![
        bad_transactions::bad_transactions_are_refused_each_with_its_own_error within 60 s,
        published_sdl::a_published_sdl_file_deploys_with_only_its_images_signers_and_denom_mapped
            within 120 s,
        command_line::the_command_line_deploys_resumes_updates_and_closes within 180 s,
        bad_manifests::manifests_and_callers_that_the_chain_does_not_know_are_refused within 120 s,
        adoption::restarted_daemons_and_nodes_leave_the_containers_running within 120 s,
        fail_points::a_provider_killed_between_any_two_steps_converges within 300 s,
        kill_nodes::killed_nodes_come_back_and_no_node_disagrees within 240 s,
    ]
}

fn main() -> ExitCode {
    let wanted = Wanted::parse(env::args().skip(1));
    let mut scenarios = all();
    scenarios.retain(|scenario| wanted.takes(scenario.name));
    if wanted.list {
        scenarios.iter().for_each(|scenario| println!("{}: test", scenario.name));
        return ExitCode::SUCCESS;
    }
    if scenarios.is_empty() {
        println!("\n0 passed, 0 failed");
        return ExitCode::SUCCESS;
    }
    stoa_client::install_crypto();
    match start(scenarios) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(scenarios: Vec<Scenario<World>>) -> Result<usize> {
    let _lock = MachineLock::take(&env::temp_dir().join("stoa-e2e.lock"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut end = Box::pin(asked_to_end()?);
        tokio::select! {
            failed = on_a_network(scenarios) => failed,
            // Dropping the network takes it down.
            () = &mut end => anyhow::bail!("interrupted"),
        }
    })
}

async fn on_a_network(scenarios: Vec<Scenario<World>>) -> Result<usize> {
    let dir = env::temp_dir().join(format!("stoa-e2e-{}", std::process::id()));
    let world = World::start(&dir).await?;
    let failed = run(&world, scenarios).await;
    world.network().down()?;
    if failed == 0 {
        std::fs::remove_dir_all(&dir)?;
    } else {
        println!("the logs are in {}/logs", dir.display());
    }
    Ok(failed)
}
