//! `hack/bench vcuda`: how well slices of compute are held, and what that costs a program, on a simulated card or on the first one
//! of this machine. Needs root.

// Its output is what it is for.
#![allow(clippy::print_stdout)]

mod cost;
mod machine;
mod report;
mod shares;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use machine::Machine;
use report::Report;

/// Measures libvcuda.
#[derive(Parser)]
struct Args {
    /// Folder with `libvcuda.so`, the program `compute` and, for a simulated card, `driver/`
    parts: PathBuf,
    /// Of the library's sources
    #[arg(long)]
    commit: String,
    /// Seconds for each measurement of a share, at least; one of long kernels takes six of them at their share
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Longest kernel of the tables in ms: at 10 % one of 500 takes half a minute
    #[arg(long, default_value_t = 500)]
    longest: u64,
    /// Only what calls cost, not how well shares are held
    #[arg(long)]
    cost: bool,
    /// File that gets what is printed as well
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> io::Result<()> {
    let machine = Machine::new(&args.parts)?;
    let mut report = Report::new(args.out.as_deref())?;
    report.say(&format!("card: {}", machine.name))?;
    report.say(&format!("machine: {}", report::processor()?))?;
    report.say(&format!("library: release build of commit {}", args.commit))?;
    report.say(&format!("load before: {}\n", report::load()?))?;
    if !args.cost {
        shares::all(&machine, &mut report, args.seconds, args.longest)?;
    }
    cost::all(&machine, &mut report)?;
    report.close()?;
    report.say(&format!("\nload after: {}", report::load()?))
}
