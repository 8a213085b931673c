//! `hack/bench node`: what the node costs beside the bare system calls and tools. Times, RPCs per second, memory, sizes.
//!
//! Everything is measured from outside, on the shipped programs; each goal stands beside its result.

// Its output is what it is for.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::process::{Command, ExitCode, Output};

use figures::Goals;
use sanity_tests::process::{ProcessError, shipped};
use scratch::Scratch;
use serve::chain::chain;
use serve::shutdown;
use tonic::Status;

mod calls;
mod figures;
mod memory;
mod scratch;
mod size;
mod stage;
mod start;

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("{0}")]
    Io(String, #[source] std::io::Error),
    #[error("{step}: {code:?}: {message}")]
    Rpc { step: &'static str, code: tonic::Code, message: String },
    #[error("cannot connect to the node")]
    Connect(#[from] tonic::transport::Error),
    #[error("{0}")]
    Unfit(String),
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Failed {
    let what = what.into();
    move |source| Failed::Io(what, source)
}

fn rpc(step: &'static str) -> impl Fn(Status) -> Failed {
    move |s| Failed::Rpc { step, code: s.code(), message: s.message().to_owned() }
}

/// Runs a program to its end; an error unless it succeeds.
fn run(program: &str, args: &[&str]) -> Result<Output, Failed> {
    let output = Command::new(program).args(args).env("LC_ALL", "C").output().map_err(io(program))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failed::Unfit(format!("{program} {args:?}: {}: {said}", output.status)))
}

/// The cores that this process may use, as the kernel writes them: `0-1`.
fn cores() -> Result<String, Failed> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(io("/proc/self/status"))?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    Ok(list.unwrap_or_default().trim().to_owned())
}

/// Programs that ran or wanted to, on average over the last minute.
fn load() -> Result<String, Failed> {
    let text = std::fs::read_to_string("/proc/loadavg").map_err(io("/proc/loadavg"))?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

async fn measure(folder: &Path) -> Result<(), Failed> {
    let node = shipped("eck-csi-node", "eck-csi-node")?;
    let controller = shipped("eck-csi-controller", "eck-csi-controller")?;
    // Built before anything is timed.
    shipped("ecx-sim", "ecx-sim")?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").map_err(io("kernel"))?;
    let profile = if cfg!(debug_assertions) { "DEBUG (no figure counts)" } else { "release" };
    println!("eck-csi node: {profile} programs, cores {}, Linux {}", cores()?, kernel.trim());
    // Each wait for a core counts as the driver's time, so a busy machine makes every figure worse.
    println!("load average before the run: {} (below 1, or the figures are too high)", load()?);
    let mut goals = Goals::default();
    stage::report(&folder.join("stage"), &mut goals).await?;
    calls::report(&node, &folder.join("calls"), &mut goals).await?;
    memory::report(&folder.join("memory"), &mut goals).await?;
    size::report(&[&node, &controller], &mut goals)?;
    start::report(&node, &folder.join("start"), &mut goals).await?;
    println!("\n{goals} (times by the median; load average now {})", load()?);
    Ok(())
}

/// Measures until done or told to stop; either way nothing is left behind. False: told to stop.
async fn work() -> Result<bool, Failed> {
    let stop = shutdown::on_signal().map_err(io("signals"))?;
    let scratch = Scratch::make()?;
    // A measurement that is dropped, or failed, has killed its programs.
    let ended = tokio::select! {
        ended = measure(scratch.folder()) => ended.map(|()| true),
        () = stop.cancelled() => Ok(false),
    };
    match (ended, scratch.clear()) {
        (Ok(_), Err(left)) => Err(left),
        (Err(error), Err(left)) => {
            println!("LEFT BEHIND: {}", chain(&left));
            Err(error)
        }
        (ended, Ok(())) => ended,
    }
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            println!("the runtime cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(work()) {
        Ok(true) => ExitCode::SUCCESS,
        // As a shell says it of a program that SIGINT ended.
        Ok(false) => ExitCode::from(130),
        Err(error) => {
            println!("FAILED: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}
