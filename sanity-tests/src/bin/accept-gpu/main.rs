//! `hack/accept-gpu`: the shipped plugin on the cards of this machine, beside what `nvidia-smi` and the file system say of them.
//! API server and kubelet are those of the tests; driver, cards, device files and libraries are the machine's.

// Its output is what it is for.
#![allow(clippy::print_stdout)]

mod checks;
mod held;
mod report;
mod witness;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;
use sanity_tests::apiserver::{ApiServer, Key, Refusal};
use sanity_tests::fake_kubelet::node::{Node, NodeError};
use sanity_tests::process::{Process, ProcessError, get};
use serde_json::{Value, json};

use report::Report;

/// Compares the plugin with the machine
#[derive(Parser)]
struct Flags {
    /// The plugin
    #[arg(long)]
    plugin: PathBuf,
    /// Of the plugin's sources
    #[arg(long)]
    commit: String,
    /// File for the result; without it the result is printed only
    #[arg(long)]
    out: Option<PathBuf>,
    /// The witness: prints CSV like NVIDIA's
    #[arg(long, default_value = "nvidia-smi")]
    nvidia_smi: PathBuf,
    /// As the plugin's
    #[arg(long, default_value = "libnvidia-ml.so.1")]
    nvml_library: String,
    /// As the plugin's
    #[arg(long, default_value = "/")]
    driver_root: PathBuf,
    /// As the plugin's; with it programs are run in a slice, which needs root
    #[arg(long, default_value = "", requires = "slice_program")]
    libvcuda: String,
    /// The program that is run in a slice: hack/k8s/slice.c
    #[arg(long)]
    slice_program: Option<PathBuf>,
    /// Seconds that the plugin is watched doing nothing
    #[arg(long, default_value_t = 60)]
    idle: u64,
}

/// The driver opens each card when NVML is loaded: some seconds a card without persistence mode.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a list of devices may take after the registration: one message over a unix socket.
const LISTS: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Api(#[from] Refusal),
    #[error("{0}")]
    Io(&'static str, #[source] std::io::Error),
    #[error("nvidia-smi: {0}")]
    Witness(String),
}

/// The plugin at work.
struct Scene<'a> {
    api: &'a ApiServer,
    node: Node<'a>,
    plugin: Process,
    folder: PathBuf,
}

async fn start<'a>(
    api: &'a ApiServer,
    flags: &Flags,
    folder: PathBuf,
    context: u64,
) -> Result<Scene<'a>, Failed> {
    let node = Node::start(api, "n", &folder.join("kubelet"), 1).await?;
    let mut command = Command::new(&flags.plugin);
    for (flag, below) in [("--kubelet-dir", "kubelet"), ("--state-dir", "state"), ("--cdi-dir", "cdi")] {
        command.arg(flag).arg(folder.join(below));
    }
    command.args(["--node-name", "n", "--api-url", &api.url(), "--admin-address", "127.0.0.1:0"]);
    command.args(["--nvml-library", &flags.nvml_library]).arg("--driver-root").arg(&flags.driver_root);
    command.arg(format!("--libvcuda={}", flags.libvcuda)).arg(format!("--context-mib={context}"));
    let plugin = Process::start(command, &folder.join("plugin.log"))?;
    Ok(Scene { api, node, plugin, folder })
}

/// A pod that was bound here and that no scheduler of ours has decided on: the node does.
async fn pod(scene: &Scene<'_>) -> Result<Value, Failed> {
    let limits = json!({"ideal.com/gpu": "1", "ideal.com/vcuda-core": "30", "ideal.com/vcuda-memory": held::MIB.to_string()});
    let resources = json!({"limits": limits, "requests": limits});
    let spec = json!({"nodeName": "n", "containers": [{"name": "c", "image": "i", "resources": resources}]});
    let metadata = json!({"name": "slice", "namespace": "default"});
    scene.api.create("pods", json!({"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}))?;
    let key = Key::pod("default", "slice");
    if let Err(refused) = scene.node.admit(&key).await {
        return Ok(json!({"refused": refused.to_string()}));
    }
    match scene.node.start_container(&key, "c").await {
        Err(refused) => Ok(json!({"refused": refused})),
        Ok(answers) => {
            let names = answers.iter().flat_map(|answer| &answer.cdi_devices);
            Ok(json!({"devices": names.map(|device| device.name.clone()).collect::<Vec<_>>()}))
        }
    }
}

async fn accept(flags: &Flags) -> Result<Report, Failed> {
    let cards = witness::cards(&flags.nvidia_smi)?;
    let temp = tempfile::tempdir().map_err(|e| Failed::Io("folder", e))?;
    let api = ApiServer::start().map_err(|e| Failed::Io("API server", e))?;
    // Before the plugin is there: with it, programs in a slice are charged with what the driver takes for their contexts.
    let program = flags.slice_program.clone().zip(cards.first());
    let program = program.map(|(path, card)| held::Program { path, card: card.uuid.clone() });
    let context = program.as_ref().map_or(Ok(0), held::Program::context)?;
    let started = Instant::now();
    let mut scene = start(&api, flags, temp.path().to_owned(), context).await?;
    let address = scene.plugin.ready(PATIENCE).await?;
    let ready = started.elapsed();
    let mut report = Report::new(&flags.commit, &cards);
    let node = &scene.node;
    let told = async || node.object()["metadata"]["annotations"].get("ideal.com/cards").map(|_| ());
    scene.plugin.until("the node's cards", PATIENCE, told).await?;
    // The kubelet gets each list after the registration; if one never comes, the comparison below says so.
    for resource in ["ideal.com/gpu", "nvidia.com/gpu"] {
        let came = async || node.kubelet.rules().allocatable(resource).filter(|devices| *devices > 0);
        let _late = scene.plugin.until(resource, LISTS, came).await;
    }
    node.publish()?;
    checks::node(&mut report, &node.object(), &cards);
    checks::devices(&mut report, &node.kubelet, &cards);
    checks::specs(&mut report, &scene.folder.join("cdi"), &cards);
    let granted = pod(&scene).await?;
    checks::slice(&mut report, &granted, &scene.folder.join("state"), &cards);
    if let Some(program) = program.filter(|_| !flags.libvcuda.is_empty()) {
        let (cdi, slot) = (scene.folder.join("cdi"), held::slot(&granted));
        // The pod's card is the node's choice.
        let card = cards.iter().find(|card| slot.ends_with(&card.uuid)).map(|card| card.uuid.clone());
        let program = held::Program { card: card.unwrap_or_default(), ..program };
        held::held(&mut report, &program, &cdi, &slot, context)?;
        held::frameworks(&mut report, &cdi, &slot)?;
    }

    let cpu = scene.plugin.cpu_seconds().map_err(|e| Failed::Io("stat", e))?;
    tokio::time::sleep(Duration::from_secs(flags.idle)).await;
    let cpu = scene.plugin.cpu_seconds().map_err(|e| Failed::Io("stat", e))? - cpu;
    report.measured("seconds to ready", ready.as_secs_f64());
    report.measured("resident MiB", scene.plugin.resident_mib().map_err(|e| Failed::Io("status", e))?);
    report.measured(&format!("CPU seconds in {} idle seconds", flags.idle), cpu);
    let metrics = get(address, "/metrics").await.map_err(|e| Failed::Io("metrics", e))?;
    checks::health(&mut report, &metrics, &cards);
    let stopping = Instant::now();
    let status = scene.plugin.stop(PATIENCE).await?;
    report.measured("seconds to stop", stopping.elapsed().as_secs_f64());
    report.check("the plugin ends well when told to", status.success(), status.to_string());
    let log = std::fs::read_to_string(scene.folder.join("plugin.log")).unwrap_or_default();
    let troubles: Vec<&str> =
        log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    report.check("it has logged no warning", troubles.is_empty(), troubles.join("\n"));
    Ok(report)
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome =
        runtime.map_err(|e| Failed::Io("runtime", e)).and_then(|runtime| runtime.block_on(accept(&flags)));
    let report = match outcome {
        Ok(report) => report,
        Err(error) => {
            println!("FAILED: {}", serve::chain::chain(&error));
            return ExitCode::FAILURE;
        }
    };
    print!("{report}");
    if let Some(out) = &flags.out
        && let Err(error) = std::fs::write(out, report.to_text())
    {
        println!("FAILED: {}: {error}", out.display());
        return ExitCode::FAILURE;
    }
    if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
