//! What the controller reports of the health of volumes.

use proto::csi::v1 as pb;
use proto::csi::v1::controller_server::Controller as _;
use tonic::Request;

use crate::rig::Rig;

type Findings = Vec<pb::volume_health::VolumeHealthEntry>;

async fn health(rig: &Rig, volume: &str) -> Findings {
    let request = pb::ControllerGetVolumeHealthRequest { volume_id: volume.to_owned(), ..Default::default() };
    let reply = rig.controller.controller_get_volume_health(Request::new(request)).await.unwrap();
    reply.into_inner().volume_health.unwrap().health_statuses
}

/// A volume whose disk the cloud has taken out of service.
async fn expired() -> (Rig, String) {
    let rig = Rig::new();
    let volume = rig.create_volume("a").await;
    let expired = ecx::api::DiskState::parse("expired");
    rig.cloud.change(|world| world.disks.get_mut(&volume).unwrap().disk.disk_status = expired);
    (rig, volume)
}

#[tokio::test(start_paused = true)]
async fn a_new_volume_is_healthy() {
    let rig = Rig::new();
    let volume = rig.create_volume("a").await;
    assert!(health(&rig, &volume).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_the_cloud_has_taken_out_of_service_is_reported() {
    let (rig, volume) = expired().await;
    let findings = health(&rig, &volume).await;
    assert_eq!((findings.len(), findings[0].reason.as_str()), (1, "DiskExpired"));
}

#[tokio::test(start_paused = true)]
async fn the_list_reports_the_same_as_the_volume_itself() {
    let (rig, volume) = expired().await;
    let all = rig.controller.controller_list_volume_health(Request::new(Default::default())).await.unwrap();
    assert_eq!(all.into_inner().entries[0].health_statuses, health(&rig, &volume).await);
}
