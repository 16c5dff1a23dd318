//! `stoa-provider`: the provider's control daemon.

use std::process::ExitCode;

use clap::Parser;
use stoa_provider::commands::{self, Arguments};

fn main() -> ExitCode {
    stoa_client::install_crypto();
    let arguments = Arguments::parse();
    commands::start_logging(&arguments);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(commands::run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
