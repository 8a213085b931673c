//! `hack/bench vcuda`: how well slices of compute are held, and what that costs a program, on a simulated card or on the first one
//! of this machine. Needs root.

// Its output is what it is for.
#![allow(clippy::print_stdout)]

mod machine;
mod tables;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Measures libvcuda.
#[derive(Parser)]
pub(crate) struct Args {
    /// Folder with `libvcuda.so`, the program `compute` and, for a simulated card, `driver/`
    parts: PathBuf,
    /// Of the library's sources
    #[arg(long)]
    pub(crate) commit: String,
    /// Seconds for each measurement of a share
    #[arg(long, default_value_t = 4.0)]
    pub(crate) seconds: f64,
    /// Longest kernel of the first table in ms: at 10 % one of 500 takes half a minute
    #[arg(long, default_value_t = 500)]
    pub(crate) longest: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let measured = machine::Machine::new(&args.parts).and_then(|machine| tables::all(&machine, &args));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}
