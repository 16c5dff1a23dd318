//! End to end, on real CometBFT and a real Docker engine.

mod adoption;
mod bad_manifests;
mod bad_transactions;
mod command_line;
mod fail_points;
mod images;
mod inside;
mod kill_nodes;
mod live;
mod overlay;
mod peers;
mod published_sdl;
mod validators;
mod world;

use std::{env, path::Path, process::ExitCode, time::Duration};

use anyhow::Result;
use stoa_localnet::{up::asked_to_end, Localnet};
use stoa_tests::{run, MachineLock, Scenario, Wanted};
use validators::Validators;
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
fn all_of_the_market() -> Vec<Scenario<World>> {
    scenarios![
        bad_transactions::bad_transactions_are_refused_each_with_its_own_error within 60 s,
        published_sdl::a_published_sdl_file_deploys_with_only_its_images_signers_and_denom_mapped
            within 120 s,
        command_line::the_command_line_deploys_resumes_updates_and_closes within 180 s,
        inside::a_tenant_goes_into_its_instances_and_another_does_not within 180 s,
        bad_manifests::manifests_and_callers_that_the_chain_does_not_know_are_refused within 120 s,
        adoption::restarted_daemons_and_nodes_leave_the_containers_running within 120 s,
        overlay::services_at_two_providers_reach_each_other_by_name_and_nobody_else_does
            within 180 s,
        peers::a_replacement_gets_everything_from_its_peers_while_the_tenant_is_away within 180 s,
        fail_points::a_provider_killed_between_any_two_steps_converges within 600 s,
        live::on_a_terminal_bids_are_a_live_table_and_elsewhere_lines within 240 s,
        kill_nodes::killed_nodes_come_back_and_no_node_disagrees within 480 s,
    ]
}

/// On a network of validators alone; the last leaves one of them out for ever.
fn all_of_the_validators() -> Vec<Scenario<Validators>> {
    scenarios![
        validators::voting_power_follows_delegations_and_delegations_earn within 120 s,
        validators::a_validator_that_is_down_is_jailed_and_comes_back_by_unjailing within 180 s,
        validators::a_validator_that_signs_twice_is_tombstoned_and_slashed within 300 s,
    ]
}

/// What is asked for of each network.
struct Plan {
    market: Vec<Scenario<World>>,
    validators: Vec<Scenario<Validators>>,
}

impl Plan {
    fn new(wanted: &Wanted) -> Self {
        let (mut market, mut validators) = (all_of_the_market(), all_of_the_validators());
        market.retain(|scenario| wanted.takes(scenario.name));
        validators.retain(|scenario| wanted.takes(scenario.name));
        Self { market, validators }
    }

    fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        let market = self.market.iter().map(|scenario| scenario.name);
        market.chain(self.validators.iter().map(|scenario| scenario.name))
    }
}

fn main() -> ExitCode {
    let wanted = Wanted::parse(env::args().skip(1));
    let plan = Plan::new(&wanted);
    if wanted.list {
        plan.names().for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    stoa_client::install_crypto();
    match start(plan) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(plan: Plan) -> Result<usize> {
    let _lock = MachineLock::take(&env::temp_dir().join("stoa-e2e.lock"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut end = Box::pin(asked_to_end()?);
        tokio::select! {
            failed = on_their_networks(plan) => failed,
            // Dropping a network takes it down.
            () = &mut end => anyhow::bail!("interrupted"),
        }
    })
}

/// One network after the other: two at a time would be too slow for both.
async fn on_their_networks(plan: Plan) -> Result<usize> {
    let dir = |name: &str| env::temp_dir().join(format!("stoa-{name}-{}", std::process::id()));
    let mut failed = 0;
    if !plan.market.is_empty() {
        let dir = dir("e2e");
        let world = World::start(&dir).await?;
        failed += run(&world, plan.market).await;
        end(world.network(), &dir, failed)?;
    }
    if !plan.validators.is_empty() {
        let dir = dir("validators");
        let net = Validators::start(&dir).await?;
        let failed_here = run(&net, plan.validators).await;
        end(net.network(), &dir, failed_here)?;
        failed += failed_here;
    }
    Ok(failed)
}

fn end(network: &Localnet, dir: &Path, failed: usize) -> Result<()> {
    network.down()?;
    if failed == 0 {
        std::fs::remove_dir_all(dir)?;
    } else {
        println!("the logs are in {}/logs", dir.display());
    }
    Ok(())
}
