//! `hack/bench gpu-node`: what the shipped plugin costs on a machine with eight cards of 90 GiB.

// Its output is what it is for.
#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::Duration;

use sanity_tests::apiserver::ApiServer;
use sanity_tests::fake_kubelet::node::{Node, NodeError};
use sanity_tests::fake_kubelet::programs;
use sanity_tests::process::ProcessError;

/// The most that the plugin may have in memory; issue 4.
const GOAL_MIB: f64 = 12.0;

/// How long it idles: an idle minute, in which all cards are listed anew once and their usage is read four times.
const IDLE: Duration = Duration::from_secs(60);

/// The real library sleeps in the kernel until a card reports something; the fake one looks at its file, this often, which
/// would otherwise be counted as the plugin's.
const LOOK_MS: u32 = 5000;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error("{0}")]
    Io(&'static str, #[source] std::io::Error),
}

async fn bench() -> Result<bool, Failed> {
    let folder = tempfile::tempdir().map_err(|e| Failed::Io("folder", e))?;
    let api = ApiServer::start().map_err(|e| Failed::Io("API server", e))?;
    let (library, at) = (programs::fake_library()?, folder.path().join("n"));
    let node = Node::start(&api, "n", &at.join("kubelet"), 1).await?;
    let machine = format!("look_ms = {LOOK_MS}\n{}", programs::machine("n", 8, "NVIDIA H100 NVL", 90 * 1024));
    let mut plugin = programs::plugin(&api, "n", &at, &library, &machine)?;
    plugin.ready(PATIENCE).await?;
    let devices = async || (node.kubelet.rules().allocatable("ideal.com/gpu") == Some(40)).then_some(());
    plugin.until("forty devices", PATIENCE, devices).await?;
    let stat = |e| Failed::Io("what the kernel tells of the plugin", e);
    let (before, lists) = (plugin.cpu_seconds().map_err(stat)?, node.kubelet.heard("ideal.com/gpu").lists);
    tokio::time::sleep(IDLE).await;
    let used = plugin.cpu_seconds().map_err(stat)? - before;
    let (mib, heard) = (plugin.resident_mib().map_err(stat)?, node.kubelet.heard("ideal.com/gpu"));
    println!("plugin, 8 cards x 90 GiB");
    println!("resident memory      {mib:>8.1} MiB   goal < {GOAL_MIB} MiB");
    println!("ListAndWatch message {:>8} bytes   40 devices of ideal.com/gpu", heard.bytes);
    println!("messages while idle  {:>8}", heard.lists - lists);
    println!("CPU while idle       {used:>8.2} s     in {} s", IDLE.as_secs());
    Ok(mib < GOAL_MIB)
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(|e| Failed::Io("runtime", e)).and_then(|runtime| runtime.block_on(bench()));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("the goal is not met");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("FAILED: {}", serve::chain::chain(&error));
            ExitCode::FAILURE
        }
    }
}
