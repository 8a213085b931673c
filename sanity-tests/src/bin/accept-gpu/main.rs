//! `hack/accept-gpu`: compares what the shipped plugin reports of this machine's cards with `nvidia-smi` and the file system.
//! API server and kubelet are those of the tests; driver, cards, device files and libraries are the machine's.

// Its output is what it is for.
#![allow(clippy::print_stdout)]

mod checks;
mod json;
mod nvidia_smi;
mod report;
mod slice;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;
use sanity_tests::apiserver::{ApiServer, Key};
use sanity_tests::fake_kubelet::node::Node;
use sanity_tests::process::{Process, get};
use sanity_tests::rig::{self, Error, io};
use serde_json::{Value, json};

use nvidia_smi::Card;
use report::Report;
use slice::Program;

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
    /// Prints CSV as NVIDIA's tool does
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
    /// Seconds for which the idle plugin is measured
    #[arg(long, default_value_t = 60)]
    idle: u64,
}

/// The driver opens each card when NVML is loaded: some seconds per card without persistence mode.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How long a list of devices may take after the registration: one message over a unix socket.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// The running plugin with its kubelet and API server.
struct Rig<'a> {
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
) -> Result<Rig<'a>, Error> {
    let node = Node::start(api, "n", &folder.join("kubelet"), 1).await?;
    let mut command = Command::new(&flags.plugin);
    for (flag, below) in [("--kubelet-dir", "kubelet"), ("--state-dir", "state"), ("--cdi-dir", "cdi")] {
        command.arg(flag).arg(folder.join(below));
    }
    command.args(["--node-name", "n", "--api-url", &api.url(), "--admin-address", "127.0.0.1:0"]);
    command.args(["--nvml-library", &flags.nvml_library]).arg("--driver-root").arg(&flags.driver_root);
    command.arg(format!("--libvcuda={}", flags.libvcuda)).arg(format!("--context-mib={context}"));
    let plugin = Process::start(command, &folder.join("plugin.log"))?;
    Ok(Rig { api, node, plugin, folder })
}

/// Starts a pod with a slice that is bound to this node without a decision of our scheduler: the node makes it.
async fn start_pod(rig: &Rig<'_>) -> Result<Value, Error> {
    let limits = json!({"ideal.com/gpu": "1", "ideal.com/vcuda-core": "30", "ideal.com/vcuda-memory": slice::MIB.to_string()});
    let resources = json!({"limits": limits, "requests": limits});
    let spec = json!({"nodeName": "n", "containers": [{"name": "c", "image": "i", "resources": resources}]});
    let metadata = json!({"name": "slice", "namespace": "default"});
    rig.api.create("pods", json!({"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}))?;
    let key = Key::pod("default", "slice");
    if let Err(refused) = rig.node.admit(&key).await {
        return Ok(json!({"refused": refused.to_string()}));
    }
    match rig.node.start_container(&key, "c").await {
        Err(refused) => Ok(json!({"refused": refused})),
        Ok(answers) => {
            let names = answers.iter().flat_map(|answer| &answer.cdi_devices);
            Ok(json!({"devices": names.map(|device| device.name.clone()).collect::<Vec<_>>()}))
        }
    }
}

async fn accept(flags: &Flags) -> Result<Report, Error> {
    let cards = nvidia_smi::cards(&flags.nvidia_smi)?;
    let temp = tempfile::tempdir().map_err(io("temporary folder"))?;
    let api = ApiServer::start().map_err(io("API server"))?;
    // Measured before the plugin starts, which charges programs in a slice for what the driver uses for their contexts.
    let program = flags.slice_program.clone().zip(cards.first());
    let program = program.map(|(path, card)| Program { path, card: card.uuid.clone() });
    let context_mib = program.as_ref().map_or(Ok(0), Program::context)?;
    let started = Instant::now();
    let mut rig = start(&api, flags, temp.path().to_owned(), context_mib).await?;
    let address = rig.plugin.ready(TIMEOUT).await?;
    let ready = started.elapsed();
    let mut report = Report::new(&flags.commit, &cards);
    wait_for_plugin(&mut rig).await?;
    compare(&mut report, &rig, flags, &cards, program, context_mib).await?;
    report.measured("seconds to ready", ready.as_secs_f64());
    idle(&mut report, &rig, flags.idle).await?;
    let metrics = get(address, "/metrics").await.map_err(io("metrics"))?;
    checks::health(&mut report, &metrics, &cards);
    stop(&mut report, &mut rig).await?;
    Ok(report)
}

/// Waits until the node has its annotation and, by a patch of its own, its amounts, and the kubelet the devices.
async fn wait_for_plugin(rig: &mut Rig<'_>) -> Result<(), Error> {
    let node = &rig.node;
    let annotated = async || node.object()["metadata"]["annotations"].get("ideal.com/cards").map(|_| ());
    rig.plugin.until("the node's cards", TIMEOUT, annotated).await?;
    // What never comes, the comparison reports.
    let amounts = async || node.object()["status"]["allocatable"].get("ideal.com/vcuda-core").map(|_| ());
    let _late = rig.plugin.until("the node's amounts", LIST_TIMEOUT, amounts).await;
    for resource in ["ideal.com/gpu", "nvidia.com/gpu"] {
        let listed = async || node.kubelet.rules().allocatable(resource).filter(|devices| *devices > 0);
        let _late = rig.plugin.until(resource, LIST_TIMEOUT, listed).await;
    }
    Ok(node.publish()?)
}

async fn compare(
    report: &mut Report,
    rig: &Rig<'_>,
    flags: &Flags,
    cards: &[Card],
    program: Option<Program>,
    context_mib: u64,
) -> Result<(), Error> {
    let cdi = rig.folder.join("cdi");
    checks::node(report, &rig.node.object(), cards);
    checks::devices(report, &rig.node.kubelet, cards);
    checks::specs(report, &cdi, cards);
    let granted = start_pod(rig).await?;
    checks::limits(report, &granted, &rig.folder.join("state"), cards);
    let Some(program) = program.filter(|_| !flags.libvcuda.is_empty()) else { return Ok(()) };
    let slot = slice::slot(&granted);
    // The node has chosen the pod's card.
    let card = cards.iter().find(|card| slot.ends_with(&card.uuid)).map(|card| card.uuid.clone());
    let program = Program { card: card.unwrap_or_default(), ..program };
    slice::memory(report, &program, &cdi, &slot, context_mib)?;
    slice::frameworks(report, &cdi, &slot)
}

/// Measures the plugin while nothing happens.
async fn idle(report: &mut Report, rig: &Rig<'_>, seconds: u64) -> Result<(), Error> {
    let before = rig.plugin.cpu_seconds().map_err(io("/proc/<pid>/stat"))?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let used = rig.plugin.cpu_seconds().map_err(io("/proc/<pid>/stat"))? - before;
    report.measured("resident MiB", rig.plugin.resident_mib().map_err(io("/proc/<pid>/status"))?);
    report.measured(&format!("CPU seconds in {seconds} idle seconds"), used);
    Ok(())
}

async fn stop(report: &mut Report, rig: &mut Rig<'_>) -> Result<(), Error> {
    let stopping = Instant::now();
    let status = rig.plugin.stop(TIMEOUT).await?;
    report.measured("seconds to stop", stopping.elapsed().as_secs_f64());
    report.check("the plugin ends well when told to", status.success(), status.to_string());
    let log = std::fs::read_to_string(rig.folder.join("plugin.log")).unwrap_or_default();
    let warnings: Vec<&str> =
        log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    report.check("it has logged no warning", warnings.is_empty(), warnings.join("\n"));
    Ok(())
}

async fn print_report(flags: &Flags) -> Result<bool, Error> {
    let report = accept(flags).await?;
    print!("{report}");
    if let Some(out) = &flags.out {
        std::fs::write(out, report.to_text()).map_err(io(out.display().to_string()))?;
    }
    Ok(report.passed())
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    rig::run(print_report(&flags))
}
