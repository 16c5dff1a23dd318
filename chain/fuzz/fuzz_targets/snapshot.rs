//! OfferSnapshot and ApplySnapshotChunk: whatever peers offer and send, there is no panic, and no
//! state is taken in but the one of the app hash that CometBFT trusts.
#![no_main]

use std::sync::{Arc, LazyLock, Mutex};

use libfuzzer_sys::{
    arbitrary::{Result, Unstructured},
    fuzz_target,
};
use stoad::{
    abci::Application,
    app::{App, Machine, StateSync},
    snapshots::{make, Keeper, Schedule, Shelf},
};
use stoad_fuzz::{
    input,
    stage::{empty, Stage},
};
use tendermint_proto::v0_38::abci::{
    RequestApplySnapshotChunk, RequestLoadSnapshotChunk, RequestOfferSnapshot, Snapshot,
};

struct Taker {
    _dir: tempfile::TempDir,
    machine: Arc<Machine>,
    app: App,
}

struct Giver {
    stage: Stage,
    snapshot: Snapshot,
    chunks: Vec<Vec<u8>>,
    app_hash: Vec<u8>,
}

fn with_snapshots(app: App, shelf: Shelf) -> App {
    let never = Schedule { interval: 0, keep: 1 };
    let keeper = Keeper::start(shelf.clone(), never).expect("a keeper");
    app.with_state_sync(StateSync::new(shelf, keeper))
}

fn taker() -> Taker {
    let dir = tempfile::tempdir().expect("a directory");
    let (machine, app) = empty(&dir.path().join("db"), "stoa-model");
    let app = with_snapshots(app, Shelf::new(dir.path().join("snapshots")));
    Taker { _dir: dir, machine, app }
}

static GIVER: LazyLock<Giver> = LazyLock::new(|| {
    let stage = Stage::new(6);
    let dir = tempfile::tempdir().expect("a directory");
    let shelf = Shelf::new(dir.path());
    let height = stage.block.height;
    make(&stage.machine.latest(), &shelf.partial_path(height)).expect("a snapshot");
    shelf.finish(height).expect("a snapshot");
    let app = with_snapshots(stage.app.clone(), shelf);
    let snapshot = app.list_snapshots().snapshots.remove(0);
    let load = |chunk| {
        let request = RequestLoadSnapshotChunk { height, format: snapshot.format, chunk };
        app.load_snapshot_chunk(request).chunk.to_vec()
    };
    let chunks = (0..snapshot.chunks).map(load).collect();
    let app_hash = stage.machine.head().1;
    Giver { stage, snapshot, chunks, app_hash }
});

static TAKER: LazyLock<Mutex<Taker>> = LazyLock::new(|| Mutex::new(taker()));

fn offered(u: &mut Unstructured<'_>, giver: &Giver) -> Result<RequestOfferSnapshot> {
    let mut snapshot = giver.snapshot.clone();
    let mut app_hash = giver.app_hash.clone();
    match u.int_in_range(0..=9u8)? {
        0 => snapshot.height = u.arbitrary()?,
        1 => snapshot.format = u.arbitrary()?,
        2 => snapshot.chunks = u.arbitrary()?,
        3 => snapshot.hash = u.arbitrary::<Vec<u8>>()?.into(),
        4 => snapshot.metadata = u.arbitrary::<Vec<u8>>()?.into(),
        5 => {
            let mut metadata = snapshot.metadata.to_vec();
            input::edit(u, &giver.stage, &mut metadata)?;
            snapshot.metadata = metadata.into();
        }
        6 => app_hash = u.arbitrary::<Vec<u8>>()?,
        _ => {}
    }
    let snapshot = (!u.ratio(1u8, 60u8)?).then_some(snapshot);
    Ok(RequestOfferSnapshot { snapshot, app_hash: app_hash.into() })
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let giver = &*GIVER;
    let mut taker = TAKER.lock().expect("a taker");
    taker.app.offer_snapshot(offered(u, giver)?);
    for _ in 0..u.int_in_range(0..=3u8)? {
        let index = u.int_in_range(0..=3u32)?;
        let known = giver.chunks.get(usize::try_from(index).unwrap_or_default());
        let mut chunk = known.cloned().unwrap_or_default();
        match u.int_in_range(0..=3u8)? {
            0 => chunk = u.arbitrary()?,
            1 => input::edit(u, &giver.stage, &mut chunk)?,
            _ => {}
        }
        let sender = "peer".to_owned();
        taker.app.apply_snapshot_chunk(RequestApplySnapshotChunk {
            index,
            chunk: chunk.into(),
            sender,
        });
    }
    let (height, app_hash) = taker.machine.head();
    if height > 0 {
        assert_eq!(app_hash, giver.app_hash, "another state was taken in");
        *taker = self::taker();
    }
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});
