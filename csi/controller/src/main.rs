//! `eck-csi-controller`.

use std::process::ExitCode;

use clap::Parser as _;
use eck_csi_controller::{args::Args, run::run};

fn main() -> ExitCode {
    let args = Args::parse();
    let (log, traces) = (args.log.clone(), args.traces.clone());
    serve::program::main("eck-csi-controller", env!("CARGO_PKG_VERSION"), &log, &traces, || run(args))
}
