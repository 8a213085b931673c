//! Both programs: help, flags, admin port, logs.

use std::process::Command;
use std::time::Duration;

use proto::csi::v1::NodeStageVolumeRequest;
use sanity_tests::kubelet::VolumeUse;
use sanity_tests::process::{get, shipped};

use super::fixture::Fixture;

const PROGRAMS: [&str; 3] = ["eck-csi-controller", "eck-csi-node", "ecx-sim"];

fn help(program: &str) -> String {
    let out = Command::new(shipped(program, program).unwrap()).arg("--help").output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

/// The flags with a value in a program's help: the first line of each, and all of it.
fn flags(help: &str) -> Vec<(&str, &str)> {
    let options = help.split("\nOptions:\n").nth(1).unwrap();
    let sections = options.split("\n      --").filter(|section| section.contains('<'));
    sections.map(|section| (section.lines().next().unwrap(), section)).collect()
}

#[test]
fn help_names_the_environment_variable_of_every_flag() {
    for program in PROGRAMS {
        for (flag, section) in flags(&help(program)) {
            assert!(section.contains("[env: "), "{program}: {flag} names no variable");
        }
    }
}

#[test]
fn help_explains_every_flag() {
    for program in PROGRAMS {
        for (flag, section) in flags(&help(program)) {
            let explanation = section.lines().nth(1).unwrap().trim();
            assert!(explanation.split(' ').count() > 2, "{program}: {flag} is not explained");
        }
    }
}

#[test]
fn both_halves_have_an_admin_port() {
    for program in ["eck-csi-controller", "eck-csi-node"] {
        let help = help(program);
        assert!(help.contains("--admin-address"), "{help}");
    }
}

#[test]
fn an_invalid_flag_ends_the_program_with_the_reason() {
    let node = shipped("eck-csi-node", "eck-csi-node").unwrap();
    let half = ["--node-name", "worker2", "--instance-id", "evm-1", "--admin-address", "127.0.0.1:0"];
    let out = Command::new(node).args(half).output().unwrap();
    assert!(!out.status.success());
    let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(stderr.contains("--node-name") && stderr.contains("<region>.<private IPv4>"), "{stderr}");
}

const SECRET: &str = "correct horse battery staple";

fn stage_request(fixture: &Fixture, fs: &str) -> NodeStageVolumeRequest {
    NodeStageVolumeRequest {
        volume_id: fixture.volume.id.clone(),
        publish_context: fixture.volume.publish_context.clone(),
        volume_context: fixture.volume.context.clone(),
        staging_target_path: fixture.staging.to_string_lossy().into_owned(),
        volume_capability: Some(VolumeUse::mount(fs).capability()),
        secrets: [("passphrase".to_owned(), SECRET.to_owned())].into(),
    }
}

/// A volume that was staged with a secret.
async fn staged_with_a_secret() -> Fixture {
    let fixture = Fixture::attached(VolumeUse::mount("ext4")).await;
    fixture.kubelet.client().node_stage_volume(stage_request(&fixture, "ext4")).await.unwrap();
    fixture
}

/// What the admin ports of node and controller return.
async fn get_from_both(fixture: &mut Fixture, path: &str) -> [String; 2] {
    let timeout = Duration::from_secs(10);
    let node = fixture.rig.stack.nodes[0].process.ready(timeout).await.unwrap();
    let controller = fixture.rig.stack.controller.ready(timeout).await.unwrap();
    [get(node, path).await.unwrap(), get(controller, path).await.unwrap()]
}

#[tokio::test]
async fn both_programs_are_alive_and_ready() {
    let mut fixture = Fixture::attached(VolumeUse::mount("ext4")).await;
    for path in ["/livez", "/readyz"] {
        for reply in get_from_both(&mut fixture, path).await {
            assert!(reply.starts_with("HTTP/1.1 200"), "{path}: {reply}");
        }
    }
    fixture.finish().await;
}

#[tokio::test]
async fn both_programs_count_their_rpcs() {
    let mut fixture = staged_with_a_secret().await;
    for metrics in get_from_both(&mut fixture, "/metrics").await {
        assert!(metrics.contains("grpc_server_handled_total{"), "{metrics}");
    }
    fixture.finish().await;
}

#[tokio::test]
async fn the_node_counts_what_staging_has_done() {
    let mut fixture = staged_with_a_secret().await;
    let [metrics, _] = get_from_both(&mut fixture, "/metrics").await;
    assert!(metrics.contains("eck_csi_stage_decisions_total{decision=\"formatted\"} 1"), "{metrics}");
    fixture.finish().await;
}

#[tokio::test]
async fn the_controller_counts_its_calls_of_the_cloud() {
    let mut fixture = staged_with_a_secret().await;
    let [_, metrics] = get_from_both(&mut fixture, "/metrics").await;
    for line in [
        "ecx_calls_total{op=\"AttachDisk\"} 1",
        "ecx_call_results_total{op=\"AttachDisk\",code=\"ok\"} 1",
        "ecx_call_duration_seconds_bucket{le=\"60.0\",op=\"AttachDisk\"} 1",
        "ecx_call_duration_seconds_bucket{le=\"+Inf\",op=\"AttachDisk\"} 1",
        "ecx_call_duration_seconds_count{op=\"AttachDisk\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    fixture.finish().await;
}

#[tokio::test]
async fn an_error_message_contains_no_secret() {
    let fixture = staged_with_a_secret().await;
    let refused =
        fixture.kubelet.client().node_stage_volume(stage_request(&fixture, "ntfs")).await.unwrap_err();
    assert!(!refused.message().contains(SECRET), "{refused}");
    fixture.finish().await;
}

#[tokio::test]
async fn the_logs_contain_no_secret() {
    let fixture = staged_with_a_secret().await;
    fixture.kubelet.client().node_stage_volume(stage_request(&fixture, "ntfs")).await.unwrap_err();
    for log in ["controller.log", "evm-zjshaoxing21.log"] {
        let text = fixture.rig.log(log);
        // The second one is part of the simulated account's secret key.
        assert!(!text.contains(SECRET) && !text.contains("fedcba9876543210"), "{log} contains a secret");
    }
    fixture.finish().await;
}
