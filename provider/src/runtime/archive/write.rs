//! Writes the docker-archive that the engine gets.

use std::io::{self, Read, Write};

use serde_json::json;

use super::layers::ExtentReader;
use super::ImagePlan;

/// Streams an image as a docker-archive under one name. Blocking.
pub(crate) fn write_docker_archive(
    plan: &ImagePlan,
    tag: &str,
    output: impl Write,
) -> io::Result<()> {
    let mut archive = tar::Builder::new(output);
    let config_name = format!("{}.json", plan.config_digest());
    append(&mut archive, &config_name, plan.config.len() as u64, plan.config.as_slice())?;
    let mut layer_names = Vec::with_capacity(plan.layers.len());
    for (number, layer) in plan.layers.iter().enumerate() {
        let name = format!("layer-{number:03}.tar");
        append(&mut archive, &name, layer.bytes, ExtentReader::new(&plan.file, *layer))?;
        layer_names.push(name);
    }
    let manifest =
        json!([{ "Config": config_name, "RepoTags": [tag], "Layers": layer_names }]).to_string();
    append(&mut archive, "manifest.json", manifest.len() as u64, manifest.as_bytes())?;
    archive.into_inner()?.flush()
}

fn append<W: Write>(
    archive: &mut tar::Builder<W>,
    name: &str,
    bytes: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, content)
}
