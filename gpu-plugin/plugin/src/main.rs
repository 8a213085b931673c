//! `ideal-gpu-plugin`.

use std::process::ExitCode;

use clap::Parser as _;
use ideal_gpu_plugin::{args::Args, run::run};

fn main() -> ExitCode {
    let args = Args::parse();
    args.log.init("ideal-gpu-plugin", env!("CARGO_PKG_VERSION"));
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = serve::chain::chain(&error), "Ending");
            ExitCode::FAILURE
        }
    }
}
