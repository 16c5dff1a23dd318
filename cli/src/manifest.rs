//! `stoa manifest`: an SDL file without any network.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::json;
use stoa_manifest::{DenomMapping, Diagnostic, Options, Parsed, SignerMapping};

use crate::{
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

/// Reads a file with the images beside it, and says its warnings and errors.
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
    for (path, line, column) in stoa_manifest::image_paths(&text) {
        let full = folder.join(&path);
        let found = match full.is_dir() {
            true => layout::pack(&full),
            false => hash_file(&full).map(|blob| (blob, full.clone())),
        };
        let (blob, full) = found.map_err(|e| {
            Failure::new(format!(
                "{}:{line}:{column}: image {}: {e}",
                file.display(),
                full.display()
            ))
        })?;
        blobs.insert(blob.root.to_hex().to_string(), full);
        options.blobs.insert(path, blob);
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
fn hash_file(path: &Path) -> Result<stoa_manifest::Blob, String> {
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
