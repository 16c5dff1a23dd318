//! Kills at random, one after the other: daemons, data planes, the engine, nodes.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use rand::{rngs::StdRng, seq::SliceRandom, Rng, SeedableRng};
use tokio::{sync::watch, task::JoinHandle};

use super::{engine::OwnEngine, tally::Tally, SoakOptions};
use crate::Localnet;

/// Between two kills, in milliseconds.
const CALM: std::ops::Range<u64> = 5_000..20_000;
/// How long what was killed stays down, in milliseconds.
const DOWN: std::ops::Range<u64> = 0..5_000;
/// Of so many kills, how many are of each kind.
const KINDS: [(Kind, u32); 4] =
    [(Kind::Daemon, 4), (Kind::DataPlane, 3), (Kind::Engine, 1), (Kind::Node, 2)];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Daemon,
    DataPlane,
    Engine,
    Node,
}

/// Begins; ends, with everything started again, once told to stop.
pub(super) fn begin(
    options: &SoakOptions,
    network: &Arc<Localnet>,
    tally: &Arc<Tally>,
    stopped: &watch::Receiver<bool>,
) -> JoinHandle<Result<()>> {
    let chaos = Chaos {
        network: Arc::clone(network),
        engine: options.engine.clone(),
        tally: Arc::clone(tally),
        random: StdRng::seed_from_u64(options.seed),
    };
    tokio::spawn(chaos.run(stopped.clone()))
}

struct Chaos {
    network: Arc<Localnet>,
    engine: OwnEngine,
    tally: Arc<Tally>,
    random: StdRng,
}

impl Chaos {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Result<()> {
        loop {
            let calm = Duration::from_millis(self.random.gen_range(CALM));
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return Ok(()),
                () = tokio::time::sleep(calm) => {}
            }
            let kind = KINDS.choose_weighted(&mut self.random, |(_, weight)| *weight)?.0;
            self.strike(kind).await?;
        }
    }

    async fn strike(&mut self, kind: Kind) -> Result<()> {
        let state = self.network.state();
        let down = Duration::from_millis(self.random.gen_range(DOWN));
        match kind {
            Kind::Daemon => {
                let name = pick(&state.providers, &mut self.random).name.clone();
                self.restart(&name, "kills of daemons", down).await
            }
            Kind::Node => {
                let name = pick(&state.nodes, &mut self.random).name.clone();
                self.restart(&name, "kills of chain nodes", down).await
            }
            // Its daemon starts it again.
            Kind::DataPlane => {
                let provider = pick(&state.providers, &mut self.random);
                println!("killing the data plane of {}", provider.name);
                self.network.kill_data_plane(provider)?;
                self.tally.add("kills of data planes");
                Ok(())
            }
            Kind::Engine => {
                println!("killing the engine for {} ms", down.as_millis());
                self.engine.kill().await?;
                self.tally.add("kills of the engine");
                tokio::time::sleep(down).await;
                self.engine.again().await
            }
        }
    }

    async fn restart(&self, name: &str, what: &str, down: Duration) -> Result<()> {
        println!("killing {name} for {} ms", down.as_millis());
        self.network.kill(name)?;
        self.tally.add(what);
        tokio::time::sleep(down).await;
        self.network.start_one(name, &[])
    }
}

fn pick<'a, T>(all: &'a [T], random: &mut StdRng) -> &'a T {
    &all[random.gen_range(0..all.len())]
}
