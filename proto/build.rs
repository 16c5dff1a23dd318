//! Compiles the .proto files with protox (no protoc needed) into prost types,
//! tonic services behind the `grpc` feature, and the descriptor set.

use std::{env, error::Error, fs, path::PathBuf};

const FILES: &[&str] = &[
    "stoa/types/v1/ids.proto",
    "stoa/types/v1/resources.proto",
    "stoa/deployment/v1/deployment.proto",
    "stoa/deployment/v1/events.proto",
    "stoa/deployment/v1/genesis.proto",
    "stoa/deployment/v1/query.proto",
    "stoa/deployment/v1/tx.proto",
    "stoa/market/v1/events.proto",
    "stoa/market/v1/genesis.proto",
    "stoa/market/v1/market.proto",
    "stoa/market/v1/query.proto",
    "stoa/market/v1/tx.proto",
    "stoa/escrow/v1/escrow.proto",
    "stoa/escrow/v1/events.proto",
    "stoa/escrow/v1/genesis.proto",
    "stoa/escrow/v1/query.proto",
    "stoa/escrow/v1/tx.proto",
    "stoa/provider/v1/events.proto",
    "stoa/provider/v1/genesis.proto",
    "stoa/provider/v1/provider.proto",
    "stoa/provider/v1/query.proto",
    "stoa/provider/v1/tx.proto",
    "stoa/audit/v1/audit.proto",
    "stoa/audit/v1/events.proto",
    "stoa/audit/v1/query.proto",
    "stoa/audit/v1/tx.proto",
    "stoa/cert/v1/cert.proto",
    "stoa/cert/v1/events.proto",
    "stoa/cert/v1/query.proto",
    "stoa/cert/v1/tx.proto",
    "stoa/gateway/v1/gateway.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=stubs");
    let mut compiler = protox::Compiler::new(["proto", "stubs"])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // protox's own encoding: prost's would drop custom options.
    fs::write(out.join("descriptor.bin"), compiler.encode_file_descriptor_set())?;

    let mut config = prost_build::Config::new();
    config.enable_type_names().extern_path(".cosmos", "::cosmos_sdk_proto::cosmos");
    tonic_build::configure()
        .client_mod_attribute(".", "#[cfg(feature = \"grpc\")]")
        .server_mod_attribute(".", "#[cfg(feature = \"grpc\")]")
        .compile_fds_with_config(config, compiler.file_descriptor_set())?;
    Ok(())
}
