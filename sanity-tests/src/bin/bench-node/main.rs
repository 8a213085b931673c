//! `hack/bench node`: what the node costs beside the bare system calls and tools. Times, RPCs per second, memory, sizes.
//!
//! Everything is measured from outside, on the shipped programs; each goal stands beside its result.

// Its output is what it is for.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use figures::Goals;
use sanity_tests::process::{ProcessError, shipped};
use tonic::Status;

mod calls;
mod figures;
mod memory;
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

async fn measure(folder: &Path) -> Result<(), Failed> {
    let node = shipped("eck-csi-node", "eck-csi-node")?;
    let controller = shipped("eck-csi-controller", "eck-csi-controller")?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").map_err(io("kernel"))?;
    let profile = if cfg!(debug_assertions) { "DEBUG (no figure counts)" } else { "release" };
    println!("eck-csi node: {profile} programs, cores {}, Linux {}", cores()?, kernel.trim());
    let mut goals = Goals::default();
    stage::report(&folder.join("stage"), &mut goals).await?;
    calls::report(&node, &folder.join("calls"), &mut goals).await?;
    memory::report(&folder.join("memory"), &mut goals).await?;
    size::report(&[&node, &controller], &mut goals)?;
    start::report(&node, &folder.join("start"), &mut goals).await?;
    println!("\n{goals}");
    Ok(())
}

fn main() -> ExitCode {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let Some(folder) = folder else {
        println!("usage: bench-node FOLDER; see hack/bench");
        return ExitCode::from(2);
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            println!("the runtime cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(measure(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {}", serve::chain::chain(&error));
            ExitCode::FAILURE
        }
    }
}
