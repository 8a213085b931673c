//! `hack/bench node`: what the node costs beside the bare system calls and tools. Times, RPCs per second, memory, sizes.
//!
//! Everything is measured from outside, on the shipped programs; each goal stands beside its result.

// Its output is what it is for.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::process::ExitCode;

use figures::Goals;
use sanity_tests::process::shipped;
use sanity_tests::rig::{self, Error, io};
use scratch::Scratch;
use serve::chain::chain;
use serve::shutdown;
use system::{cores, load_average};

mod calls;
mod figures;
mod memory;
mod scratch;
mod size;
mod stage;
mod start;
mod system;

async fn measure(folder: &Path) -> Result<(), Error> {
    let node = shipped("eck-csi-node", "eck-csi-node")?;
    let controller = shipped("eck-csi-controller", "eck-csi-controller")?;
    // Built before anything is timed.
    shipped("ecx-sim", "ecx-sim")?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").map_err(io("kernel"))?;
    let profile = if cfg!(debug_assertions) { "DEBUG (no figure counts)" } else { "release" };
    println!("eck-csi node: {profile} programs, cores {}, Linux {}", cores()?, kernel.trim());
    // Each wait for a core counts as the driver's time, so a busy machine makes every figure worse.
    println!("load average before the run: {} (below 1, or the figures are too high)", load_average()?);
    let mut goals = Goals::default();
    stage::report(&folder.join("stage"), &mut goals).await?;
    calls::report(&node, &folder.join("calls"), &mut goals).await?;
    memory::report(&folder.join("memory"), &mut goals).await?;
    size::report(&[&node, &controller], &mut goals)?;
    start::report(&node, &folder.join("start"), &mut goals).await?;
    println!("\n{goals} (times by the median; load average now {})", load_average()?);
    Ok(())
}

/// Measures to the end or until a signal; either way nothing is left behind.
async fn run_until_signal() -> Result<bool, Error> {
    let stop = shutdown::on_signal().map_err(io("signals"))?;
    let scratch = Scratch::make()?;
    // A measurement that fails or is dropped has killed its programs.
    let result = tokio::select! {
        result = measure(scratch.folder()) => result,
        () = stop.cancelled() => Err(Error::Interrupted),
    };
    match (result, scratch.clear()) {
        (Ok(()), cleared) => cleared.map(|()| true),
        (Err(error), Err(left)) => {
            println!("LEFT BEHIND: {}", chain(&left));
            Err(error)
        }
        (Err(error), Ok(())) => Err(error),
    }
}

fn main() -> ExitCode {
    rig::run(run_until_signal())
}
