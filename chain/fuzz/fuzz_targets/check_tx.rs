//! CheckTx: transactions one after another on the pool's state end without a panic.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{arbitrary::Unstructured, fuzz_target};
use stoad::abci::Application;
use stoad_fuzz::{input, stage::Stage};
use tendermint_proto::v0_38::abci::RequestCheckTx;

static STAGE: LazyLock<Stage> = LazyLock::new(|| Stage::new(1));

fuzz_target!(|bytes: &[u8]| {
    let stage = &*STAGE;
    // What was checked before is forgotten.
    stage.machine.stand_on_restored();
    stage.app.check_tx(RequestCheckTx { tx: bytes.to_vec().into(), r#type: 0 });
    let Ok(txs) = input::txs(&mut Unstructured::new(bytes), stage) else { return };
    for tx in txs {
        let answer = stage.app.check_tx(RequestCheckTx { tx: tx.into(), r#type: 0 });
        assert!(answer.code != 0 || answer.gas_wanted > 0);
    }
});
