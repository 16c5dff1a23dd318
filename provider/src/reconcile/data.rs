//! Archives from which volumes are filled: brought to an engine when it says
//! that it needs one, which is once in a volume's life.

use anyhow::Context;
use stoa_client::proto::gateway::v1::EventKind;

use super::images::path_of;
use super::shared::Shared;
use super::work::{now, Turn};
use crate::failpoint::failpoint;
use crate::runtime::{Applied, RuntimeError, WorkloadSpec};
use crate::store::Rollout;

/// Makes an instance run, with its volumes filled.
pub(super) async fn apply(
    turn: &Turn,
    spec: &WorkloadSpec,
    shared: &Shared,
) -> anyhow::Result<Applied> {
    let done = apply_with_data(turn, spec, shared).await?;
    if spec.has_data() && matches!(done, Applied::Created | Applied::Replaced) {
        grant_time(turn, spec, shared)?;
    }
    Ok(done)
}

/// An update becomes ready within a time, of which filling takes nothing.
fn grant_time(turn: &Turn, spec: &WorkloadSpec, shared: &Shared) -> anyhow::Result<()> {
    let is_its =
        |rollout: &Rollout| rollout.service == spec.key.service && rollout.version == turn.version;
    shared.leases.update(&turn.lease.name, |record| {
        if let Some(rollout) = record.rollout.as_mut().filter(|rollout| is_its(rollout)) {
            rollout.since = now();
        }
    })?;
    Ok(())
}

async fn apply_with_data(
    turn: &Turn,
    spec: &WorkloadSpec,
    shared: &Shared,
) -> anyhow::Result<Applied> {
    for _ in &spec.volumes {
        match shared.backend.apply(spec).await {
            Err(RuntimeError::DataMissing { volume, blob, .. }) => {
                bring(turn, spec, &volume, &blob, shared).await?;
            }
            done => return Ok(done?),
        }
    }
    Ok(shared.backend.apply(spec).await?)
}

/// Has the engine where the instance goes make an image of an archive.
async fn bring(
    turn: &Turn,
    spec: &WorkloadSpec,
    volume: &str,
    root: &str,
    shared: &Shared,
) -> anyhow::Result<()> {
    let lease = &turn.lease.name;
    let blobs = turn.group.blobs();
    let blob = blobs.iter().find(|blob| blob.root.to_hex().as_str() == root);
    let blob = *blob.with_context(|| format!("the manifest names no data {root}"))?;
    let path = path_of(&shared.blobs, &blob)?;
    failpoint("data.before_load");
    let loaded = shared.image_engine.load_data(&spec.key, path, blob).await;
    let loaded = loaded.map_err(|error| match error {
        RuntimeError::Archive(problem) => {
            RuntimeError::Data { instance: spec.key.to_string(), volume: volume.into(), problem }
        }
        other => other,
    });
    let short = root.get(..12).unwrap_or(root);
    let (service, index) = (&spec.key.service, spec.key.index);
    let words = match &loaded {
        Ok(_) => format!("data {short}… is here, for the volume {volume} of {service}[{index}]"),
        Err(error) => error.to_string(),
    };
    shared.board.events().note(lease, EventKind::Image, &words);
    loaded?;
    failpoint("data.after_load");
    Ok(())
}
