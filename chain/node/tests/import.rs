//! A state that random transactions of all modules have made: an export of it, imported into
//! another node's store, has the same app hash. Both hashes are those of the nodes' own tree.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

// What the operations need of the core's simulation; the rest of it is not compiled twice for use.
#[allow(dead_code)]
#[path = "../../core/tests/simulation/certificates.rs"]
mod certificates;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/chain.rs"]
mod chain;
#[allow(dead_code)]
#[path = "../../core/tests/model/generate.rs"]
mod generate;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/grants.rs"]
mod grants;
#[allow(dead_code)]
#[path = "../../core/tests/model/machine.rs"]
mod machine;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/market.rs"]
mod market;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/params.rs"]
mod params;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/proposals.rs"]
mod proposals;
#[allow(dead_code, unused_imports)]
#[path = "../../core/tests/model/reference/mod.rs"]
mod reference;
#[allow(dead_code)]
#[path = "../../core/tests/model/scenario.rs"]
mod scenario;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/sim.rs"]
mod sim;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/stakes.rs"]
mod stakes;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/transfers.rs"]
mod transfers;

use sim::Sim;
use stoa_chain::{app, genesis::Genesis, store::Changes};
use stoad::store::{AppHash, Database, Options};

/// Enough for proposals that are voted on and executed, and leases that end.
const BLOCKS: u32 = 70;
/// Heights at which the state is exported.
const EXPORT_EACH: u32 = 35;

/// A node's store that has committed each of the simulation's blocks.
struct Node {
    _dir: tempfile::TempDir,
    database: Database,
    /// Of genesis, until the first block is committed with it.
    beginning: Changes,
}

impl Node {
    fn new(sim: &Sim) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(dir.path(), Options::local()).unwrap();
        Self { _dir: dir, database, beginning: sim.chain.changes.clone() }
    }

    fn commit(&mut self, sim: &Sim) -> AppHash {
        let mut changes = std::mem::take(&mut self.beginning);
        changes.extend(sim.chain.changes.clone());
        let block = &sim.chain.block;
        let staged = self.database.stage(block.height, block.now, &changes).unwrap();
        let app_hash = staged.app_hash();
        self.database.commit(staged).unwrap();
        app_hash
    }

    /// The app hash of a new node that begins with this one's export, as a document's text.
    fn hash_of_import(&self, sim: &Sim) -> AppHash {
        let block = sim.chain.block.clone();
        let text =
            serde_json::to_vec(&app::export(&self.database.latest(), block.clone())).unwrap();
        let document: Genesis = serde_json::from_slice(&text).unwrap();
        let (height, now) = (block.height, block.now);
        let changes = app::init_chain(&document, block).unwrap().changes;
        let dir = tempfile::tempdir().unwrap();
        let other = Database::open(dir.path(), Options::local()).unwrap();
        other.stage(height, now, &changes).unwrap().app_hash()
    }
}

#[test]
fn an_export_that_is_imported_elsewhere_has_the_same_app_hash() {
    for seed in 200..206 {
        let mut sim = Sim::new(seed);
        let mut node = Node::new(&sim);
        for number in 1..=BLOCKS {
            sim.block();
            let app_hash = node.commit(&sim);
            if number % EXPORT_EACH == 0 {
                let imported = node.hash_of_import(&sim);
                assert_eq!(imported, app_hash, "seed {seed}, block {number}");
            }
        }
        let done: u32 = sim.messages.values().map(|(done, _)| done).sum();
        assert!(done > 100, "seed {seed}: {done} transactions were done");
    }
}
