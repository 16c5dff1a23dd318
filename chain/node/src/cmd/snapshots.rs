//! `stoad snapshots`.

use anyhow::Result;
use serde_json::{json, Value};

use super::{
    args::{Output, SnapshotsCommand},
    inspect, print, print_fields, tell,
};
use crate::{
    home::Home,
    snapshots::{make, Listed, Shelf, SnapshotError, FORMAT},
};

/// Runs one of the commands.
pub fn run(home: &Home, command: &SnapshotsCommand) -> Result<()> {
    let shelf = Shelf::new(home.snapshots());
    match command {
        SnapshotsCommand::List(args) => list(&shelf, args.output),
        SnapshotsCommand::Export(args) => export(home, &shelf, args.output),
        SnapshotsCommand::Delete { height } => {
            if !shelf.heights()?.contains(height) {
                return Err(SnapshotError::Missing(*height).into());
            }
            shelf.remove(*height)?;
            tell(&format!("the snapshot of height {height} is deleted"));
            Ok(())
        }
    }
}

fn list(shelf: &Shelf, output: Output) -> Result<()> {
    let listed = shelf.list()?;
    if output == Output::Json {
        let all: Vec<Value> = listed.iter().map(fields).collect();
        return print(&serde_json::to_string_pretty(&all)?);
    }
    if listed.is_empty() {
        tell("there are no snapshots");
    }
    for Listed { manifest, disk_bytes } in &listed {
        let (height, records, chunks) = (manifest.height, manifest.records, manifest.count());
        print(&format!(
            "{height}: {records} records in {chunks} chunks, {} KiB",
            disk_bytes.div_ceil(1 << 10)
        ))?;
    }
    Ok(())
}

fn export(home: &Home, shelf: &Shelf, output: Output) -> Result<()> {
    let view = inspect::open(home)?;
    let height = view.height();
    let partial = shelf.partial_path(height);
    make(&view, &partial)?;
    shelf.finish(height)?;
    print_fields(output, &fields(&shelf.find(height)?))
}

fn fields(listed: &Listed) -> Value {
    json!({
        "height": listed.manifest.height,
        "format": FORMAT,
        "records": listed.manifest.records,
        "chunks": listed.manifest.count(),
        "disk_bytes": listed.disk_bytes,
        "hash": hex::encode(listed.manifest.hash()),
    })
}
