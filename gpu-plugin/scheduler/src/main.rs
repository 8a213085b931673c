//! `ideal-gpu-scheduler`.

use std::process::ExitCode;

use clap::Parser as _;
use ideal_gpu_scheduler::{args::Args, run::run};
use serve::telemetry::TraceArgs;

fn main() -> ExitCode {
    let args = Args::parse();
    let log = args.log.clone();
    serve::program::main(
        "ideal-gpu-scheduler",
        env!("CARGO_PKG_VERSION"),
        &log,
        &TraceArgs::default(),
        || run(args),
    )
}
