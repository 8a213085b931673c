//! `hack/bench churn`: many volumes created, attached, detached and deleted, against a cloud that enforces its rate, and against one that
//! has none.
//!
//! The controller is the real one with the profile that it is shipped with; the callers are as many as the chart's
//! sidecars have workers, with their deadline. Time is virtual (the runtime's clock jumps from one event to the next),
//! so that half an hour takes seconds. Each number of volumes has a process of its own, and so its own peak of memory.

// The numbers are what this program is for.
#![allow(clippy::print_stdout)]

mod life;
mod memory;
mod report;

use std::process::{Command, ExitCode};

use clap::Parser;
use sanity_tests::rig::{self, Error};

use life::{Figures, Workload};

/// Measures the churn of volumes
#[derive(Parser)]
struct Args {
    /// Numbers of volumes, ten per machine
    #[arg(long, value_delimiter = ',', default_values_t = [50, 500, 5000])]
    volumes: Vec<usize>,
    /// Regions over which the machines are spread
    #[arg(long, value_delimiter = ',', default_values_t = [1, 5])]
    regions: Vec<usize>,
    /// Milliseconds that the cloud takes for each create, attach, detach and delete; those of the simulator without it
    #[arg(long)]
    latency: Option<u64>,
    /// Callers at once; as many as the chart's sidecars have workers without it
    #[arg(long, default_value_t = life::WORKERS)]
    workers: usize,
    /// With a profile that says that lists are proof, as `eckctl cloud-check` may find; the one that is shipped does not
    #[arg(long)]
    lists_are_proof: bool,
    /// Against a cloud that throttles nobody; used by the bench itself
    #[arg(long, hide = true)]
    unlimited: bool,
    /// Runs one number of volumes; used by the bench itself
    #[arg(long, hide = true)]
    one: bool,
}

fn main() -> ExitCode {
    rig::finish(bench(&Args::parse()))
}

fn bench(args: &Args) -> Result<bool, Error> {
    if args.one {
        let (Some(volumes), Some(regions)) = (args.volumes.first(), args.regions.first()) else {
            return Err(Error::check("--one: a number of volumes and of regions is required"));
        };
        let workload = Workload {
            volumes: *volumes,
            regions: *regions,
            latency: args.latency,
            workers: args.workers,
            lists_are_proof: args.lists_are_proof,
            unlimited: args.unlimited,
        };
        println!("{}", serde_json::to_string(&life::run(&workload)?).map_err(Error::check)?);
        return Ok(true);
    }
    let mut all = Vec::new();
    for regions in &args.regions {
        for volumes in &args.volumes {
            all.push(run_in_child(*volumes, *regions, args, false)?);
        }
    }
    if let Some(volumes) = args.volumes.first() {
        all.push(run_in_child(*volumes, 1, args, true)?);
    }
    Ok(report::print(&all))
}

/// Runs one number of volumes in a process of its own.
fn run_in_child(volumes: usize, regions: usize, args: &Args, unlimited: bool) -> Result<Figures, Error> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--one", "--volumes", &volumes.to_string(), "--regions", &regions.to_string()]);
    command.args(["--workers", &args.workers.to_string()]);
    if args.lists_are_proof {
        command.arg("--lists-are-proof");
    }
    if unlimited {
        command.arg("--unlimited");
    }
    if let Some(ms) = args.latency {
        command.args(["--latency", &ms.to_string()]);
    }
    let output = command.output()?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&stdout).map_err(|_| {
        let errors = String::from_utf8_lossy(&output.stderr);
        Error::check(format!("{volumes} volumes in {regions} regions: {stdout}{errors}"))
    })
}
