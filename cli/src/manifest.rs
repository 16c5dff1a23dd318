//! `stoa manifest`: an SDL file without any network.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::json;
use stoa_manifest::{DenomMapping, Diagnostic, Options, Parsed, SignerMapping};

use crate::{
    bundle,
    context::Context,
    exit::{Code, Failure},
    layout, out,
};

/// How a file written for another chain is read.
#[derive(Clone, Debug, Default, Args)]
pub struct Mappings {
    /// Take amounts in FROM (per 6-second block) as TO at PRICE, such as uakt=ustoa@0.5
    #[arg(long = "denom", value_name = "FROM=TO@PRICE")]
    pub denoms: Vec<DenomMapping>,
    /// Take the auditor FROM as TO
    #[arg(long = "signer", value_name = "FROM=TO")]
    pub signers: Vec<SignerMapping>,
}

/// SDL files.
#[derive(Debug, Subcommand)]
pub enum ManifestCommand {
    /// Say everything that is wrong with a file
    Check {
        /// The SDL file
        file: PathBuf,
        #[command(flatten)]
        mappings: Mappings,
    },
    /// Print the version that the chain would record (SHA-256, hex)
    Version {
        /// The SDL file
        file: PathBuf,
        #[command(flatten)]
        mappings: Mappings,
    },
    /// Show what a file deploys; with `-o json`, its canonical manifest and groups
    Show {
        /// The SDL file
        file: PathBuf,
        #[command(flatten)]
        mappings: Mappings,
    },
}

/// A file of a deployment and what it was read as.
#[derive(Debug)]
pub struct SdlFile {
    pub parsed: Parsed,
    /// Files to be shipped, by BLAKE3 root in hex.
    pub blobs: BTreeMap<String, PathBuf>,
}

/// Runs it.
pub fn run(context: &Context, command: ManifestCommand) -> Result<(), Failure> {
    let (file, mappings) = match &command {
        ManifestCommand::Check { file, mappings }
        | ManifestCommand::Version { file, mappings }
        | ManifestCommand::Show { file, mappings } => (file, mappings),
    };
    let sdl = read(file, mappings, Options::default(), context.is_json())?;
    match command {
        ManifestCommand::Check { .. } => check(context, file, &sdl),
        ManifestCommand::Version { .. } => {
            let version = hex::encode(sdl.parsed.manifest.version());
            if context.is_json() {
                return out::print_json(&json!({ "version": version }));
            }
            out::print_lines(&version);
            Ok(())
        }
        ManifestCommand::Show { .. } => show(context, &sdl),
    }
}

fn check(context: &Context, file: &Path, sdl: &SdlFile) -> Result<(), Failure> {
    if context.is_json() {
        let warnings: Vec<_> = sdl.parsed.warnings.iter().map(as_json).collect();
        return out::print_json(&json!({ "ok": true, "diagnostics": warnings }));
    }
    let warnings = match sdl.parsed.warnings.len() {
        0 => String::new(),
        1 => ", 1 warning".into(),
        n => format!(", {n} warnings"),
    };
    out::print_lines(&format!("{}: ok{warnings}", file.display()));
    Ok(())
}

fn show(context: &Context, sdl: &SdlFile) -> Result<(), Failure> {
    if !context.is_json() {
        out::print_lines(&stoa_manifest::summary(&sdl.parsed));
        return Ok(());
    }
    let canonical: serde_json::Value =
        serde_json::from_slice(&sdl.parsed.manifest.canonical_json())
            .map_err(|e| Failure::new(e.to_string()))?;
    out::print_json(&json!({
        "version": hex::encode(sdl.parsed.manifest.version()),
        "manifest_root": sdl.parsed.manifest.root().to_hex().as_str(),
        "manifest": canonical,
        "groups": stoa_manifest::group_specs_json(&sdl.parsed.groups),
    }))
}

/// Reads a file with the images and data beside it, and says its warnings and errors.
///
/// # Errors
/// With code 1, after the diagnostics were printed.
pub fn read(
    file: &Path,
    mappings: &Mappings,
    mut options: Options,
    as_json_errors: bool,
) -> Result<SdlFile, Failure> {
    let text = read_text(file)?;
    let mut blobs = BTreeMap::new();
    let folder = file.parent().unwrap_or(Path::new("."));
    let bad = |what: &str, full: &Path, line: u32, column: u32, error: String| {
        let (file, full) = (file.display(), full.display());
        Failure::new(format!("{file}:{line}:{column}: {what} {full}: {error}"))
    };
    for (path, line, column) in stoa_manifest::image_paths(&text) {
        let full = folder.join(&path);
        let found = match full.is_dir() {
            true => layout::pack(&full),
            false => hash_file(&full).map(|blob| (blob, full.clone())),
        };
        let (blob, at) = found.map_err(|e| bad("image", &full, line, column, e))?;
        blobs.insert(blob.root.to_hex().to_string(), at);
        options.blobs.insert(path, blob);
    }
    for (path, line, column) in stoa_manifest::data_paths(&text) {
        let full = folder.join(&path);
        let (blob, at) = bundle::ship(&full).map_err(|e| bad("data", &full, line, column, e))?;
        blobs.insert(blob.root.to_hex().to_string(), at);
        options.bundles.insert(path, blob);
    }
    for mapping in &mappings.denoms {
        options = options.with_denom(mapping.clone());
    }
    for mapping in &mappings.signers {
        options = options.with_signer(mapping.clone());
    }
    let (parsed, findings) = match stoa_manifest::parse(&text, &options) {
        Ok(parsed) => {
            let warnings = parsed.warnings.clone();
            (Some(parsed), warnings)
        }
        Err(findings) => (None, findings),
    };
    match parsed {
        None if as_json_errors => {
            let list: Vec<_> = findings.iter().map(as_json).collect();
            out::print_json(&json!({ "ok": false, "diagnostics": list }))?;
            Err(Failure::silent(Code::Error))
        }
        None => {
            tell(&findings, file, &text);
            Err(Failure::silent(Code::Error))
        }
        Some(parsed) => {
            tell(&findings, file, &text);
            Ok(SdlFile { parsed, blobs })
        }
    }
}

fn tell(findings: &[Diagnostic], file: &Path, text: &str) {
    for finding in findings {
        out::note(&finding.render(&file.display().to_string(), text));
    }
}

fn as_json(finding: &Diagnostic) -> serde_json::Value {
    json!({
        "severity": if finding.is_error() { "error" } else { "warning" },
        "line": finding.line,
        "column": finding.column,
        "path": finding.path,
        "message": finding.message,
        "help": finding.help,
    })
}

fn read_text(file: &Path) -> Result<String, Failure> {
    let bad = |e: String| Failure::new(format!("{}: {e}", file.display()));
    let meta = std::fs::metadata(file).map_err(|e| bad(e.to_string()))?;
    let most = stoa_manifest::MAX_TEXT_BYTES as u64;
    if meta.len() > most {
        return Err(bad(format!("{} bytes; an SDL file has at most {most}", meta.len())));
    }
    std::fs::read_to_string(file).map_err(|e| bad(e.to_string()))
}

/// BLAKE3 of a file that may be larger than memory.
pub(crate) fn hash_file(path: &Path) -> Result<stoa_manifest::Blob, String> {
    use std::io::Read;
    let mut file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    if !file.metadata().map_err(|e| e.to_string())?.is_file() {
        return Err("not a file".into());
    }
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0_u64;
    loop {
        let n = file.read(&mut buffer).map_err(|e| e.to_string())?;
        if n == 0 {
            break;
        }
        bytes += n as u64;
        hasher.update(buffer.get(..n).unwrap_or_default());
    }
    if bytes == 0 {
        return Err("the file is empty".into());
    }
    Ok(stoa_manifest::Blob { root: hasher.finalize(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDL: &str = r#"
version: "2.1"
services:
  web:
    image: nginx
    params:
      storage:
        site: {mount: /site, data: ./site.tar}
    expose: [{port: 80, to: [{global: true}]}]
profiles:
  compute:
    web:
      resources:
        {cpu: {units: 1}, memory: {size: 1Gi}, storage: [{size: 1Gi}, {name: site, size: 1Gi}]}
  placement: {here: {pricing: {web: {denom: ustoa, amount: 1}}}}
deployment: {web: {here: {profile: web, count: 1}}}
"#;

    #[test]
    fn data_beside_the_file_is_shipped_and_what_is_missing_is_named_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let (file, data) = (dir.path().join("app.yaml"), dir.path().join("site.tar"));
        std::fs::write(&file, SDL).unwrap();
        let read = || read(&file, &Mappings::default(), Options::default(), false);
        let error = read().unwrap_err().message;
        assert!(error.contains("app.yaml:8:36: data "), "{error}");
        assert!(error.contains("site.tar: No such file"), "{error}");
        std::fs::write(&data, b"\x1f\x8b").unwrap();
        assert!(read().unwrap_err().message.contains("compressed with gzip"));

        let mut builder = tar::Builder::new(vec![]);
        let mut header = tar::Header::new_ustar();
        header.set_size(2);
        builder.append_data(&mut header, "page", &b"hi"[..]).unwrap();
        let bytes = builder.into_inner().unwrap();
        std::fs::write(&data, &bytes).unwrap();
        let sdl = read().unwrap();
        let root = blake3::hash(&bytes).to_hex().to_string();
        assert_eq!(sdl.blobs.get(&root), Some(&dir.path().join("./site.tar")));
        let shipped = sdl.parsed.manifest.blobs();
        assert_eq!((shipped.len(), shipped[0].bytes), (1, bytes.len() as u64));
    }
}
