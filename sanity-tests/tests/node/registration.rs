//! The kubelet finds the driver by the socket in its plugins_registry folder: at the start, after its own restart, and after
//! the folder was emptied. A fake kubelet asks as the real one does.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use proto::pluginregistration::registration_client::RegistrationClient;
use proto::pluginregistration::{InfoRequest, PluginInfo, RegistrationStatus};
use sanity_tests::process::{Process, shipped};
use serve::uds;

const PATIENCE: Duration = Duration::from_secs(20);

async fn ask(socket: &Path) -> Option<PluginInfo> {
    let mut client = RegistrationClient::new(uds::connect(socket).await.ok()?);
    let info = client.get_info(InfoRequest {}).await.ok()?.into_inner();
    let status = RegistrationStatus { plugin_registered: true, error: String::new() };
    client.notify_registration_status(status).await.ok()?;
    Some(info)
}

#[tokio::test]
async fn the_kubelet_finds_the_driver_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let (csi, registry) = (folder.path().join("csi.sock"), folder.path().join("registry"));
    std::fs::create_dir(&registry).unwrap();
    let mut command = Command::new(shipped("eck-csi-node", "eck-csi-node").unwrap());
    command.arg("--csi-endpoint").arg(&csi).args(["--node-name", "fj-xiamen-4.172.16.0.6"]);
    command.args(["--kubelet-registration-path", "/var/lib/kubelet/plugins/eck.csi.k8s.io/csi.sock"]);
    command.arg("--kubelet-registration-dir").arg(&registry).args(["--admin-address", "127.0.0.1:0"]);
    let mut node = Process::start(command, &folder.path().join("log")).unwrap();
    let socket = registry.join("eck.csi.k8s.io-reg.sock");
    let info = node.until("registration", PATIENCE, async || ask(&socket).await).await.unwrap();
    assert_eq!((info.r#type.as_str(), info.name.as_str()), ("CSIPlugin", "eck.csi.k8s.io"));
    assert_eq!(info.endpoint, "/var/lib/kubelet/plugins/eck.csi.k8s.io/csi.sock");
    assert_eq!(info.supported_versions, ["1.0.0"]);
    // The kubelet restarts and looks at the folder anew.
    assert!(ask(&socket).await.is_some());
    // The folder is emptied.
    std::fs::remove_file(&socket).unwrap();
    node.until("registration anew", PATIENCE, async || ask(&socket).await).await.unwrap();
    // The real kubelet asks every socket whose name does not begin with a dot: there must be one only.
    let names: Vec<_> = std::fs::read_dir(&registry).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, ["eck.csi.k8s.io-reg.sock"]);
    assert!(node.stop(PATIENCE).await.unwrap().success());
    assert!(!socket.exists(), "a socket that nobody serves is left to the kubelet");
}
