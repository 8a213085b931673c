//! The kubelet finds the driver by the socket in its plugins_registry folder: at the start, after its own restart, and after
//! the folder was emptied.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use proto::pluginregistration::registration_client::RegistrationClient;
use proto::pluginregistration::{InfoRequest, PluginInfo, RegistrationStatus};
use sanity_tests::process::{Process, shipped};
use serve::uds;
use tempfile::TempDir;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A node program with a registry folder.
struct RegisteredNode {
    process: Process,
    registry: PathBuf,
    socket: PathBuf,
    // Held for its life: everything is in it.
    _folder: TempDir,
}

impl RegisteredNode {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (csi, registry) = (folder.path().join("csi.sock"), folder.path().join("registry"));
        std::fs::create_dir(&registry).unwrap();
        let mut command = Command::new(shipped("eck-csi-node", "eck-csi-node").unwrap());
        command.arg("--csi-endpoint").arg(&csi).args(["--node-name", "fj-xiamen-4.172.16.0.6"]);
        command.args(["--kubelet-registration-path", "/var/lib/kubelet/plugins/eck.csi.k8s.io/csi.sock"]);
        command.arg("--kubelet-registration-dir").arg(&registry).args(["--admin-address", "127.0.0.1:0"]);
        let process = Process::start(command, &folder.path().join("log")).unwrap();
        let socket = registry.join("eck.csi.k8s.io-reg.sock");
        Self { process, registry, socket, _folder: folder }
    }

    /// Waits until the kubelet can register the driver.
    async fn register(&mut self) -> PluginInfo {
        let socket = self.socket.clone();
        self.process.until("registration", TIMEOUT, async || register(&socket).await).await.unwrap()
    }

    async fn stop(&mut self) {
        assert!(self.process.stop(TIMEOUT).await.unwrap().success());
    }
}

/// Registers the driver, as the kubelet does when it finds a socket.
async fn register(socket: &Path) -> Option<PluginInfo> {
    let mut client = RegistrationClient::new(uds::connect(socket).await.ok()?);
    let info = client.get_info(InfoRequest {}).await.ok()?.into_inner();
    let status = RegistrationStatus { plugin_registered: true, error: String::new() };
    client.notify_registration_status(status).await.ok()?;
    Some(info)
}

#[tokio::test]
async fn the_registration_names_driver_and_socket() {
    let mut node = RegisteredNode::start();
    let info = node.register().await;
    assert_eq!((info.r#type.as_str(), info.name.as_str()), ("CSIPlugin", "eck.csi.k8s.io"));
    assert_eq!(info.endpoint, "/var/lib/kubelet/plugins/eck.csi.k8s.io/csi.sock");
    assert_eq!(info.supported_versions, ["1.0.0"]);
    node.stop().await;
}

#[tokio::test]
async fn a_restarted_kubelet_registers_the_driver_again() {
    let mut node = RegisteredNode::start();
    node.register().await;
    assert!(register(&node.socket).await.is_some());
    node.stop().await;
}

#[tokio::test]
async fn the_socket_is_made_again_after_the_folder_was_emptied() {
    let mut node = RegisteredNode::start();
    node.register().await;
    std::fs::remove_file(&node.socket).unwrap();
    node.register().await;
    node.stop().await;
}

/// The kubelet asks every socket whose name does not begin with a dot.
#[tokio::test]
async fn the_folder_contains_one_socket_only() {
    let mut node = RegisteredNode::start();
    node.register().await;
    std::fs::remove_file(&node.socket).unwrap();
    node.register().await;
    let names: Vec<_> =
        std::fs::read_dir(&node.registry).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["eck.csi.k8s.io-reg.sock"]);
    node.stop().await;
}

#[tokio::test]
async fn a_node_that_stops_removes_its_socket() {
    let mut node = RegisteredNode::start();
    node.register().await;
    node.stop().await;
    assert!(!node.socket.exists(), "a socket that nobody serves is left to the kubelet");
}
