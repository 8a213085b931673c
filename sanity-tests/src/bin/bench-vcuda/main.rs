//! `hack/bench vcuda`: how well slices of compute are held, and what that costs a program, on the stand-in card of
//! `gpu-plugin/vcuda/tests/compute`. Needs root and gcc.

// Its output is what it is for.
#![allow(clippy::print_stdout)]

mod machine;
mod tables;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Measures libvcuda on a simulated card.
#[derive(Parser)]
struct Args {
    /// The library to measure.
    library: PathBuf,
    /// Seconds for each measurement of a share.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match machine::Machine::new(&args.library).and_then(|machine| tables::all(&machine, args.seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}
