//! Images that do nothing but listen: the demo's, on another port.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use anyhow::{Context, Result};
use serde_json::{json, Value};
use sha2::{Digest, Sha256};

use crate::world::demo_file;

/// Writes an image whose only program answers HTTP on a port.
///
/// # Errors
/// If the demo's image cannot be read, or the disk refuses.
pub fn listening_on(port: u16, path: &Path) -> Result<()> {
    let source = demo_file("images/web-v1.tar")?;
    let mut files = read(&source).with_context(|| source.display().to_string())?;
    let manifest: Value = serde_json::from_slice(files.get("manifest.json").context("manifest")?)?;
    let entry = manifest.get(0).context("an empty archive")?.clone();
    let old_name = entry.get("Config").and_then(Value::as_str).context("Config")?.to_owned();
    let mut config: Value = serde_json::from_slice(&files.remove(&old_name).context("config")?)?;
    let url = format!("http://127.0.0.1:{port}/health");
    config["config"]["Cmd"] = json!(["-f", "-vv", "-p", port.to_string(), "-h", "/srv"]);
    config["config"]["ExposedPorts"] = json!({ format!("{port}/tcp"): {} });
    config["config"]["Healthcheck"]["Test"] =
        json!(["CMD", "/bin/wget", "-q", "-O", "/dev/null", url]);
    let config = serde_json::to_vec(&config)?;
    let id: String = Sha256::digest(&config).iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{id}.json");
    let manifest = json!([{
        "Config": name,
        "RepoTags": [format!("stoa-test/port:{port}")],
        "Layers": entry.get("Layers"),
    }]);
    files.insert(name, config);
    files.insert("manifest.json".to_owned(), serde_json::to_vec(&manifest)?);
    write(&files, path).with_context(|| path.display().to_string())
}

fn read(path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(File::open(path)?).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path()?.display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.insert(name, bytes);
    }
    Ok(files)
}

fn write(files: &BTreeMap<String, Vec<u8>>, path: &Path) -> Result<()> {
    let mut archive = tar::Builder::new(File::create(path)?);
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, bytes.as_slice())?;
    }
    archive.finish()?;
    Ok(())
}
