//! `hack/bench gpu-node`: what the shipped plugin costs on a machine with eight cards of 90 GiB.

// Its output is what it is for.
#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::Duration;

use sanity_tests::apiserver::ApiServer;
use sanity_tests::fake_kubelet::node::Node;
use sanity_tests::fake_kubelet::programs;
use sanity_tests::rig::{self, Error, io};

/// Goal: resident memory of the plugin.
const GOAL_MIB: f64 = 12.0;

/// How long it idles: an idle minute, in which all cards are listed anew once and their usage is read four times.
const IDLE: Duration = Duration::from_secs(60);

/// The real library sleeps in the kernel until a card reports something; the fake one looks at its file, this often, which
/// would otherwise be counted as the plugin's.
const LOOK_MS: u32 = 5000;

const PATIENCE: Duration = Duration::from_secs(30);

async fn bench() -> Result<bool, Error> {
    let folder = tempfile::tempdir().map_err(io("temporary folder"))?;
    let api = ApiServer::start().map_err(io("API server"))?;
    let (library, at) = (programs::fake_library()?, folder.path().join("n"));
    let node = Node::start(&api, "n", &at.join("kubelet"), 1).await?;
    let machine = format!("look_ms = {LOOK_MS}\n{}", programs::machine("n", 8, "NVIDIA H100 NVL", 90 * 1024));
    let mut plugin = programs::plugin(&api, "n", &at, &library, &machine)?;
    plugin.ready(PATIENCE).await?;
    let devices = async || (node.kubelet.rules().allocatable("ideal.com/gpu") == Some(40)).then_some(());
    plugin.until("forty devices", PATIENCE, devices).await?;
    const PROC: &str = "the plugin's entries in /proc";
    let (before, lists) =
        (plugin.cpu_seconds().map_err(io(PROC))?, node.kubelet.heard("ideal.com/gpu").lists);
    tokio::time::sleep(IDLE).await;
    let used = plugin.cpu_seconds().map_err(io(PROC))? - before;
    let (mib, heard) = (plugin.resident_mib().map_err(io(PROC))?, node.kubelet.heard("ideal.com/gpu"));
    println!("plugin, 8 cards x 90 GiB");
    println!("resident memory      {mib:>8.1} MiB   goal < {GOAL_MIB} MiB");
    println!("ListAndWatch message {:>8} bytes   40 devices of ideal.com/gpu", heard.bytes);
    println!("messages while idle  {:>8}", heard.lists - lists);
    println!("CPU while idle       {used:>8.2} s     in {} s", IDLE.as_secs());
    Ok(mib < GOAL_MIB)
}

fn main() -> ExitCode {
    rig::run(async {
        let met = bench().await?;
        if !met {
            println!("the goal is not met");
        }
        Ok(met)
    })
}
