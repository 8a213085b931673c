//! The node program is killed or stopped while volumes are mounted.

use std::time::Duration;

use sanity_tests::kubelet::VolumeUse;
use sanity_tests::process::get;
use sanity_tests::sidecar::{Reply, Request, RetryPolicy, Sidecar};

use super::fixture::Fixture;

/// A published volume with a file, whose node program was killed.
async fn killed() -> Fixture {
    let mut fixture = Fixture::published(VolumeUse::mount("ext4")).await;
    std::fs::write(fixture.target.join("file"), "kept").unwrap();
    fixture.rig.stack.nodes[0].process.kill().unwrap();
    fixture
}

async fn restart(fixture: &mut Fixture) {
    fixture.rig.stack.restart_node(0).await.unwrap();
    fixture.kubelet = fixture.rig.kubelet(0);
}

#[tokio::test]
async fn pods_keep_their_data_while_the_node_program_is_dead() {
    let mut fixture = killed().await;
    assert_eq!(std::fs::read_to_string(fixture.target.join("file")).unwrap(), "kept");
    restart(&mut fixture).await;
    fixture.finish().await;
}

#[tokio::test]
async fn a_restarted_node_program_accepts_what_is_mounted_already() {
    let mut fixture = killed().await;
    restart(&mut fixture).await;
    fixture.kubelet.stage(&fixture.volume, &fixture.staging, &fixture.volume_use).await.unwrap();
    fixture.publish(&fixture.volume_use).await;
    assert_eq!(std::fs::read_to_string(fixture.target.join("file")).unwrap(), "kept");
    fixture.finish().await;
}

/// Attaches the volume again; returns its publish context.
async fn attach(sidecar: Sidecar, volume: String, node: String) -> std::collections::HashMap<String, String> {
    let request = Request::Publish { volume, node };
    let reply = sidecar.call(&request, &RetryPolicy::default(), |_| ()).await.unwrap();
    let Reply::Published(context) = reply else { panic!("not published") };
    context
}

/// The disk is detached, so the staging waits for it; SIGTERM comes before the disk is attached again.
#[tokio::test]
async fn sigterm_lets_a_running_call_finish() {
    let mut fixture = Fixture::attached(VolumeUse::mount("xfs")).await;
    fixture.rig.detach(&fixture.volume, 0).await;
    let staging = tokio::spawn({
        let (kubelet, volume) = (fixture.kubelet.clone(), fixture.volume.clone());
        let (path, volume_use) = (fixture.staging.clone(), fixture.volume_use.clone());
        async move { kubelet.stage(&volume, &path, &volume_use).await }
    });
    let sidecar = fixture.rig.stack.sidecar();
    let node = &mut fixture.rig.stack.nodes[0];
    let admin = node.process.ready(Duration::from_secs(10)).await.unwrap();
    let runs = async || get(admin, "/metrics").await.unwrap().contains("grpc_server_running 1").then_some(());
    node.process.until("running stage", Duration::from_secs(10), runs).await.unwrap();
    assert!(!staging.is_finished());
    let attach = attach(sidecar, fixture.volume.id.clone(), node.id.clone());
    let stop = async { node.process.stop(Duration::from_secs(20)).await.unwrap() };
    let (status, context) = tokio::join!(stop, attach);
    assert!(status.success(), "{status}");
    staging.await.unwrap().unwrap();
    fixture.volume.publish_context = context;
    restart(&mut fixture).await;
    fixture.finish().await;
}
