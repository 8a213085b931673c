//! The whole driver as its three kinds of programs: the simulated cloud, one controller, a node for each machine. Each node
//! sees its machine's disks through a sysfs-like tree of its own, so one test machine stands for several.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ecx_sim::Config;
use tonic::transport::Channel;

use crate::kubelet::Kubelet;
use crate::process::{Process, ProcessError, shipped};
use crate::sidecar::Sidecar;

/// How long a program may take to start or to stop.
const START: Duration = Duration::from_secs(20);

/// Which programs are started, and how.
#[derive(Debug, Clone)]
pub struct StackConfig {
    /// Regions of the cluster.
    pub regions: Vec<String>,
    /// Machines that run a node, by the simulator's instance ids.
    pub machines: Vec<(String, String)>,
    /// More flags of the simulator.
    pub simulator_flags: Vec<String>,
    /// More flags of the controller.
    pub controller_flags: Vec<String>,
}

impl StackConfig {
    /// The first region of the simulator's own configuration and its first `machines` machines.
    pub fn one_region(machines: usize) -> Self {
        let config = Config::default();
        let region = "zj-shaoxing-2";
        let instances = config.regions.get(region).map(|r| r.instances.clone()).unwrap_or_default();
        let machines = instances.into_iter().take(machines).map(|i| (region.to_owned(), i.id)).collect();
        Self {
            regions: vec![region.to_owned()],
            machines,
            simulator_flags: Vec::new(),
            controller_flags: Vec::new(),
        }
    }
}

/// A node's program and its machine.
pub struct Node {
    /// Region and instance, joined by `/`: the node id.
    pub id: String,
    /// Folder that stands for the machine's `/`.
    pub root: PathBuf,
    /// The program.
    pub process: Process,
    /// A connection to it.
    pub kubelet: Kubelet,
}

impl Node {
    /// The device, `/dev/…`, that the machine shows with this serial now.
    pub fn device(&self, serial: &str) -> Option<String> {
        let shows =
            |path: &Path| std::fs::read_to_string(path.join("serial")).is_ok_and(|s| s.trim() == serial);
        let mut entries = std::fs::read_dir(self.root.join("sys/block")).ok()?.flatten();
        let found = entries.find(|entry| shows(&entry.path()))?;
        Some(format!("/dev/{}", found.file_name().to_string_lossy()))
    }
}

/// The running programs. Dropping it kills them; the caller must have removed mounts and devices before.
pub struct Stack {
    /// URL of the simulator.
    pub url: String,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The controller's program.
    pub controller: Process,
    channel: Channel,
    sim: Process,
    folder: PathBuf,
}

impl Stack {
    /// Starts all programs; sockets, logs, disks and sysfs trees are in `folder`.
    pub async fn start(config: &StackConfig, folder: &Path) -> Result<Self, ProcessError> {
        let io = |what: &'static str| move |e| ProcessError::Io(what.to_owned(), e);
        std::fs::create_dir_all(folder).map_err(io("folder"))?;
        let folder = folder.canonicalize().map_err(io("folder"))?;
        let nodes_dir = folder.join("machines");
        let mut command = Command::new(shipped("ecx-sim", "ecx-sim")?);
        command.args(["--data-plane", "loop", "--state-dir"]).arg(folder.join("cloud"));
        command.arg("--nodes-dir").arg(&nodes_dir).args(&config.simulator_flags);
        let log = folder.join("ecx-sim.log");
        let mut sim = Process::start(command, &log)?;
        let url = sim.until("URL", START, async || url(&log)).await?;

        let keys = Config::default().keys;
        let (ak, sk) = keys.iter().next().map(|(a, s)| (a.clone(), s.clone())).unwrap_or_default();
        let socket = folder.join("controller.sock");
        let mut command = Command::new(shipped("eck-csi-controller", "eck-csi-controller")?);
        command.env("CTYUN_AK", ak).env("CTYUN_SK", sk).arg("--csi-endpoint").arg(&socket);
        command.args(["--ecx-url", &url, "--regions", &config.regions.join(","), "--cluster-id", "demo"]);
        command.args(["--allow-plain-http", "--admin-address", "127.0.0.1:0"]).args(&config.controller_flags);
        let mut controller = Process::start(command, &folder.join("controller.log"))?;
        let channel = controller.serves(&socket, START).await?;

        let mut nodes = Vec::new();
        for (region, instance) in &config.machines {
            nodes.push(node(region, instance, &folder, &nodes_dir).await?);
        }
        Ok(Self { url, nodes, controller, channel, sim, folder })
    }

    /// Calls the controller as the sidecars do.
    pub fn sidecar(&self) -> Sidecar {
        Sidecar::new(self.channel.clone())
    }

    /// Starts a node again whose program has ended.
    pub async fn restart_node(&mut self, number: usize) -> Result<(), ProcessError> {
        let Some(old) = self.nodes.get_mut(number) else { return Ok(()) };
        let (region, instance) = old.id.split_once('/').unwrap_or_default();
        let (region, instance) = (region.to_owned(), instance.to_owned());
        *old = node(&region, &instance, &self.folder, &self.folder.join("machines")).await?;
        Ok(())
    }

    /// Stops the programs with SIGTERM, the cloud last: it detaches its loop devices.
    pub async fn stop(&mut self) -> Result<(), ProcessError> {
        for node in &mut self.nodes {
            node.process.stop(START).await?;
        }
        self.controller.stop(START).await?;
        self.sim.stop(START).await.map(drop)
    }
}

async fn node(region: &str, instance: &str, folder: &Path, nodes: &Path) -> Result<Node, ProcessError> {
    let socket = folder.join(format!("{instance}.sock"));
    let root = nodes.join(instance);
    let mut command = Command::new(shipped("eck-csi-node", "eck-csi-node")?);
    command.arg("--csi-endpoint").arg(&socket).arg("--sysfs-root").arg(&root);
    command.arg("--state-dir").arg(folder.join(instance));
    command.args(["--region", region, "--instance-id", instance, "--admin-address", "127.0.0.1:0"]);
    let mut process = Process::start(command, &folder.join(format!("{instance}.log")))?;
    let kubelet = Kubelet::new(process.serves(&socket, START).await?);
    Ok(Node { id: format!("{region}/{instance}"), root, process, kubelet })
}

/// The URL that the simulator prints as a line of JSON.
fn url(log: &Path) -> Option<String> {
    let text = std::fs::read_to_string(log).ok()?;
    let line = text.lines().find(|line| line.starts_with("{\"url\""))?;
    serde_json::from_str::<serde_json::Value>(line).ok()?["url"].as_str().map(str::to_owned)
}
