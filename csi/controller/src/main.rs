//! `eck-csi-controller`.

use std::process::ExitCode;

use clap::Parser as _;
use eck_csi_controller::{args::Args, run::run};

fn main() -> ExitCode {
    let args = Args::parse();
    args.log.init("eck-csi-controller", env!("CARGO_PKG_VERSION"));
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = serve::chain::chain(&error), "Ending");
            ExitCode::FAILURE
        }
    }
}
