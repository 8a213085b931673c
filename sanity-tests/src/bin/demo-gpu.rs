//! `hack/demo gpu`: two nodes of four fake cards, and the guide's three pods (ECK user guide 4.11): scheduler and plugin are the
//! shipped programs; API server, kubelet, kube-scheduler and NVML library behave like the real ones.

// Its output is what it is for.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use sanity_tests::apiserver::{ApiServer, Key};
use sanity_tests::fake_kubelet::kube_scheduler::{KubeScheduler, Outcome};
use sanity_tests::fake_kubelet::node::Node;
use sanity_tests::fake_kubelet::programs;
use sanity_tests::process::Process;
use sanity_tests::rig::{self, Error, io};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// The nodes: name, model, MiB of each of the four cards.
const NODES: [(&str, &str, u64); 2] =
    [("a", "NVIDIA GeForce RTX 3060", 12_288), ("b", "NVIDIA H100 80GB HBM3", 81_559)];

struct Machine<'a> {
    node: Node<'a>,
    folder: PathBuf,
    // Held for its life: dropped, it is killed.
    _plugin: Process,
}

async fn machine<'a>(
    api: &'a ApiServer,
    (name, model, mib): (&str, &str, u64),
    folder: &Path,
    library: &Path,
) -> Result<Machine<'a>, Error> {
    let folder = folder.join(name);
    let node = Node::start(api, name, &folder.join("kubelet"), 1).await?;
    let cards = programs::machine(name, 4, model, mib);
    let mut plugin = programs::plugin(api, name, &folder, library, &cards)?;
    plugin.ready(PATIENCE).await?;
    let told = async || {
        let object = node.object();
        let status = !object["status"]["allocatable"]["ideal.com/vcuda-core"].is_null();
        let label = !object["metadata"]["labels"]["gpu-model"].is_null();
        let devices = node.kubelet.rules().allocatable("ideal.com/gpu") == Some(20);
        (status && label && devices).then_some(())
    };
    plugin.until("labels, cards and devices", PATIENCE, told).await?;
    node.publish()?;
    let object = node.object();
    let (labels, has) = (&object["metadata"]["labels"], &object["status"]["allocatable"]);
    println!("node {name}: {labels}\n        {has}");
    Ok(Machine { node, folder, _plugin: plugin })
}

/// A pod with one container that has these limits.
fn pod(name: &str, model: Option<&str>, limits: Value) -> Value {
    let resources = json!({"limits": limits, "requests": limits});
    let container = json!({"name": "container-0", "image": "nginx:perl", "resources": resources});
    let selector = model.map(|model| json!({"gpu-model": model}));
    json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeSelector": selector, "containers": [container]},
        "status": {"phase": "Pending"},
    })
}

fn slices(cards: u32, core: u32, mib: u32) -> Value {
    json!({"ideal.com/gpu": cards, "ideal.com/vcuda-core": core, "ideal.com/vcuda-memory": mib})
}

/// What is scheduled, in this order.
fn pods() -> Vec<Value> {
    vec![
        pod("gpu-test", Some("NVIDIA-GeForce-RTX-3060"), json!({"nvidia.com/gpu": 1})),
        pod("guide-4.11-0", None, slices(2, 80, 200)),
        pod("guide-4.11-1", None, slices(2, 80, 200)),
        pod("one-card-slice", None, slices(1, 30, 2048)),
        // What does not fit, and the numbers that say why.
        pod("five-cards", None, slices(5, 10, 100)),
        pod("too-much-memory", None, slices(1, 10, 100_000)),
        pod("four-whole", Some("NVIDIA-GeForce-RTX-3060"), json!({"nvidia.com/gpu": 4})),
    ]
}

async fn place(kube: &KubeScheduler<'_>, machines: &[Machine<'_>], manifest: Value) -> Result<(), Error> {
    let name = manifest["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    kube.api.create("pods", manifest)?;
    let key = Key::pod("default", &name);
    let node = match kube.schedule(&key).await? {
        Outcome::Bound(node) => node,
        Outcome::Pending(reasons) => {
            println!("{name:<16} pending");
            reasons.iter().for_each(|(node, why)| println!("{:16}   {node}: {why}", ""));
            return Ok(());
        }
        Outcome::Refused(why) => return Err(Error::Check(format!("{name}: {why}"))),
    };
    let unproven = |why: String| Error::Check(format!("{name}: {why}"));
    let machine = machines.iter().find(|machine| machine.node.name == node);
    let machine = machine.ok_or_else(|| unproven(format!("no node {node}")))?;
    machine.node.admit(&key).await.map_err(|e| unproven(e.to_string()))?;
    let answers = machine.node.start_container(&key, "container-0").await.map_err(unproven)?;
    for device in answers.iter().flat_map(|answer| &answer.cdi_devices) {
        let id = device.name.rsplit('=').next().unwrap_or_default();
        let limits = machine.folder.join("state/slots").join(id).join("limits.json");
        let (core, mib) = match std::fs::read(&limits) {
            Ok(text) => {
                let limits: Value = serde_json::from_slice(&text).map_err(|e| unproven(e.to_string()))?;
                let card = limits["cards"].as_array().into_iter().flatten();
                let card = card
                    .into_iter()
                    .find(|card| card["uuid"].as_str().is_some_and(|uuid| id.ends_with(uuid)));
                let card =
                    card.ok_or_else(|| unproven(format!("the limits do not name the card of {id}")))?;
                (format!("{} %", card["core_percent"]), format!("{} MiB", card["memory_mib"]))
            }
            Err(_) => ("whole".to_owned(), "whole".to_owned()),
        };
        println!("{name:<16} {node:<5} {core:>6} {mib:>9}  {}", device.name);
    }
    Ok(())
}

/// Runs to the end or until a signal; either way the programs are dropped, which kills them.
async fn run_until_signal(folder: &Path) -> Result<bool, Error> {
    let token = serve::shutdown::on_signal().map_err(io("signals"))?;
    token.run_until_cancelled(demo(folder)).await.unwrap_or(Err(Error::Interrupted))?;
    Ok(true)
}

async fn demo(folder: &Path) -> Result<(), Error> {
    let api = ApiServer::start().map_err(io("API server"))?;
    let library = programs::fake_library()?;
    let mut machines = Vec::new();
    for node in NODES {
        machines.push(machine(&api, node, folder, &library).await?);
    }
    let (_scheduler, extender) = programs::scheduler(&api, folder).await?;
    let kube = KubeScheduler { api: &api, extender };
    println!("\n{:<16} {:<5} {:>6} {:>9}  device", "pod", "node", "core", "memory");
    for pod in pods() {
        place(&kube, &machines, pod).await?;
    }
    let refused: usize = machines.iter().map(|machine| machine.node.kubelet.rules().rejections().len()).sum();
    println!("\nrefused by a kubelet: {refused}");
    if refused == 0 { Ok(()) } else { Err(Error::Check("a kubelet refused a pod".to_owned())) }
}

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        println!("usage: demo-gpu FOLDER");
        return ExitCode::FAILURE;
    };
    rig::run(run_until_signal(&folder))
}
