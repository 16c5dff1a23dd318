//! Compiles the .proto files with protox (no protoc needed) into prost types,
//! tonic services behind the `grpc` feature, and the descriptor set.
//!
//! `proto/` is ours, `stubs/` declares what of others we serve. Both are in the
//! descriptor set; Rust types of the latter come from cosmos-sdk-proto, but for
//! packages that it lacks.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

const ROOTS: [&str; 2] = ["proto", "stubs"];

/// Cosmos packages whose Rust types cosmos-sdk-proto has. `consensus` is not
/// among them.
const COSMOS: [&str; 14] = [
    "auth",
    "authz",
    "bank",
    "base",
    "crypto",
    "distribution",
    "feegrant",
    "gov",
    "mint",
    "slashing",
    "staking",
    "tx",
    "upgrade",
    "vesting",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut files = Vec::new();
    for root in ROOTS {
        println!("cargo:rerun-if-changed={root}");
        collect(Path::new(root), Path::new(root), &mut files)?;
    }
    files.sort();
    let mut compiler = protox::Compiler::new(ROOTS)?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // protox's own encoding: prost's would drop custom options.
    fs::write(out.join("descriptor.bin"), compiler.encode_file_descriptor_set())?;

    let mut config = prost_build::Config::new();
    config.enable_type_names();
    for package in COSMOS {
        config.extern_path(
            format!(".cosmos.{package}"),
            format!("::cosmos_sdk_proto::cosmos::{package}"),
        );
    }
    config.extern_path(".tendermint", "::cosmos_sdk_proto::tendermint");
    for name in ["Any", "Timestamp", "Duration"] {
        config.extern_path(
            format!(".google.protobuf.{name}"),
            format!("::cosmos_sdk_proto::tendermint::google::protobuf::{name}"),
        );
    }
    tonic_build::configure()
        .client_mod_attribute(".", "#[cfg(feature = \"grpc\")]")
        .server_mod_attribute(".", "#[cfg(feature = \"grpc\")]")
        .compile_fds_with_config(config, compiler.file_descriptor_set())?;
    Ok(())
}

/// The .proto files in `folder`, as paths from `root`.
fn collect(root: &Path, folder: &Path, into: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, into)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            into.push(path.strip_prefix(root)?.to_owned());
        }
    }
    Ok(())
}
