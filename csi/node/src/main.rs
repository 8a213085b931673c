//! `eck-csi-node`.

use std::process::ExitCode;

use clap::Parser as _;
use eck_csi_node::{args::Args, run::run};

fn main() -> ExitCode {
    let args = Args::parse();
    args.log.init("eck-csi-node", env!("CARGO_PKG_VERSION"));
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = serve::chain::chain(&error), "Ending");
            ExitCode::FAILURE
        }
    }
}
