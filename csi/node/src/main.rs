//! `eck-csi-node`.

use std::process::ExitCode;

use clap::Parser as _;
use eck_csi_node::{args::Args, run::run};

fn main() -> ExitCode {
    let args = Args::parse();
    let (log, traces) = (args.log.clone(), args.traces.clone());
    serve::program::main("eck-csi-node", env!("CARGO_PKG_VERSION"), &log, &traces, || run(args))
}
