//! InitChain: any document, and an export with some values changed, begin a chain or are refused
//! without a panic; a chain that begins executes its first block and keeps its invariants.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::{
    arbitrary::{Result, Unstructured},
    fuzz_target,
};
use serde_json::Value;
use stoa_chain::{
    ctx::{Block, Ctx},
    modules::{self, upgrade},
};
use stoad::app::Machine;
use stoad_fuzz::stage::{empty, Stage};

const CHAIN: &str = "stoa-fuzz";

struct Place {
    _dir: tempfile::TempDir,
    machine: Arc<Machine>,
    document: Value,
    now: u64,
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let stage = Stage::new(5);
    let dir = tempfile::tempdir().expect("a directory");
    let (machine, _) = empty(dir.path(), CHAIN);
    let document = serde_json::to_value(&stage.genesis).expect("a document");
    Place { _dir: dir, machine, document, now: stage.block.now }
});

/// Goes down to some value, and changes it.
fn change(u: &mut Unstructured<'_>, value: &mut Value) -> Result<()> {
    match value {
        Value::Object(fields) if !fields.is_empty() && !u.ratio(1u8, 40u8)? => {
            let name = u.int_in_range(0..=fields.len() - 1)?;
            if let Some((_, field)) = fields.iter_mut().nth(name) {
                return change(u, field);
            }
        }
        Value::Array(items) if !items.is_empty() && !u.ratio(1u8, 20u8)? => {
            let index = u.int_in_range(0..=items.len() - 1)?;
            match u.int_in_range(0..=19u8)? {
                0 => drop(items.remove(index)),
                1 => items.push(items[index].clone()),
                2 => items.swap(0, index),
                _ => return change(u, &mut items[index]),
            }
            return Ok(());
        }
        _ => {}
    }
    *value = match u.int_in_range(0..=6u8)? {
        0 => Value::Null,
        1 => Value::Bool(u.arbitrary()?),
        2 => Value::from(u.arbitrary::<u64>()?),
        3 => Value::from(u.int_in_range(0..=3u64)?),
        4 => Value::String(u.arbitrary::<u128>()?.to_string()),
        5 => Value::String(u.int_in_range(0..=9u64)?.to_string()),
        _ => Value::String(u.arbitrary()?),
    };
    Ok(())
}

fn begin(place: &Place, state: &[u8]) {
    let begun = place.machine.init_chain(CHAIN, 1, place.now, state, None);
    if begun.is_err() {
        return;
    }
    let (base, _) = place.machine.view();
    let block = Block { chain_id: CHAIN.to_owned(), height: 1, now: place.now + 5 };
    // Such a node does not execute the block.
    if upgrade::due(&Ctx::new(&base, block.clone()), 1).is_some_and(|due| due.stops()) {
        return;
    }
    let (result, _) = place.machine.finalize(block.clone().into(), &[]).expect("a first block");
    let ctx = Ctx::with_changes(&base, block, result.changes);
    assert_eq!(modules::check_invariants(&ctx), Vec::<String>::new());
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let place = &*PLACE;
    let mut document = place.document.clone();
    for _ in 0..u.int_in_range(1..=3u8)? {
        change(u, &mut document)?;
    }
    begin(place, &serde_json::to_vec(&document).expect("a document"));
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    if bytes.first() == Some(&b'{') {
        begin(&PLACE, bytes);
    }
    let _ = run(&mut Unstructured::new(bytes));
});
