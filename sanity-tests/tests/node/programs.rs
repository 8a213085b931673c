//! Both programs: help, admin port, secrets.

use std::process::Command;
use std::time::Duration;

use sanity_tests::kubelet::VolumeUse;
use sanity_tests::process::{get, shipped};

use super::rig::Rig;

#[test]
fn help_explains_every_flag_and_names_its_variable() {
    for program in ["eck-csi-controller", "eck-csi-node", "ecx-sim"] {
        let out = Command::new(shipped(program, program).unwrap()).arg("--help").output().unwrap();
        let help = String::from_utf8(out.stdout).unwrap();
        let options = help.split("\nOptions:\n").nth(1).unwrap();
        for section in options.split("\n      --").filter(|section| section.contains('<')) {
            let flag = section.lines().next().unwrap();
            assert!(section.contains("[env: "), "{program}: {flag} names no variable");
            let words = section.lines().nth(1).unwrap().trim();
            assert!(words.split(' ').count() > 2, "{program}: {flag} is not explained");
        }
        assert!(help.contains("--admin-address") || program == "ecx-sim", "{help}");
    }
}

#[test]
fn a_wrong_flag_ends_the_program_with_the_reason() {
    let node = shipped("eck-csi-node", "eck-csi-node").unwrap();
    let out = Command::new(node).args(["--node-name", "worker2", "--admin-address", "127.0.0.1:0"]).output();
    let out = out.unwrap();
    assert!(!out.status.success());
    let words = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(words.contains("--node-name") && words.contains("<region>.<private IPv4>"), "{words}");
}

#[tokio::test]
async fn both_answer_on_their_admin_ports_and_never_show_a_secret() {
    const SECRET: &str = "correct horse battery staple";
    let mut rig = Rig::start(1).await;
    let (kubelet, volume) = (rig.kubelet(0), rig.volume("pvc-secret", 0).await);
    let staging = rig.path("globalmount");
    let request = |fs: &str| proto::csi::v1::NodeStageVolumeRequest {
        volume_id: volume.id.clone(),
        publish_context: volume.publish_context.clone(),
        volume_context: volume.context.clone(),
        staging_target_path: staging.to_string_lossy().into_owned(),
        volume_capability: Some(VolumeUse::mount(fs).capability()),
        secrets: [("passphrase".to_owned(), SECRET.to_owned())].into(),
    };
    kubelet.client().node_stage_volume(request("ext4")).await.unwrap();
    let refused = kubelet.client().node_stage_volume(request("ntfs")).await.unwrap_err();
    assert!(!refused.message().contains(SECRET));
    kubelet.unstage(&volume, &staging).await.unwrap();
    let patience = Duration::from_secs(10);
    let node = rig.stack.nodes[0].process.ready(patience).await.unwrap();
    let controller = rig.stack.controller.ready(patience).await.unwrap();
    for address in [node, controller] {
        assert!(get(address, "/livez").await.unwrap().starts_with("HTTP/1.1 200"));
        assert!(get(address, "/readyz").await.unwrap().starts_with("HTTP/1.1 200"));
        assert!(get(address, "/metrics").await.unwrap().contains("grpc_server_handled_total{"));
    }
    let metrics = get(node, "/metrics").await.unwrap();
    assert!(metrics.contains("eck_csi_stage_decisions_total{decision=\"formatted\"} 1"), "{metrics}");
    assert!(get(controller, "/metrics").await.unwrap().contains("ecx_calls_total{op=\"AttachDisk\"} 1"));
    for log in ["controller.log", "evm-zjshaoxing21.log"] {
        let text = rig.log(log);
        assert!(!text.contains(SECRET) && !text.contains("fedcba9876543210"), "{log} shows a secret");
    }
    rig.end().await;
}
