//! Volumes that are modified by a VolumeAttributesClass.

use std::collections::BTreeMap;

use ecx::Profile;
use ecx::api::Op;
use ecx_sim::Config;
use proto::csi::v1 as pb;
use tonic::Code;

use crate::rig::{Rig, code, create_request, parameters};

const CLASS: [(&str, &str); 3] = [("diskType", "SSD"), ("iops", "3000"), ("description", "for the ledger")];

/// A cloud that can modify disks, with a volume.
async fn modifiable() -> (Rig, String) {
    let paths = BTreeMap::from([(Op::ModifyDisk, "/v4/ebs/modify-ebs".to_owned())]);
    let rig = Rig::with(Config::default(), Profile { paths, ..Profile::default() });
    let volume = rig.create_volume("a").await;
    (rig, volume)
}

/// The same; the volume has the attributes of [`CLASS`].
async fn modified() -> (Rig, String) {
    let (rig, volume) = modifiable().await;
    rig.modify(&volume, &CLASS).await.unwrap();
    (rig, volume)
}

/// Type, IOPS and description of the volume's disk.
fn attributes(rig: &Rig, volume: &str) -> (String, Option<u64>, Option<String>) {
    let disk = rig.cloud.look(|world| world.disks[volume].disk.clone());
    (disk.disk_type, disk.provisioned_iops, disk.volume_description)
}

/// A request for a volume with such attributes.
fn create_request_with(name: &str, class: &[(&str, &str)]) -> pb::CreateVolumeRequest {
    pb::CreateVolumeRequest { mutable_parameters: parameters(class), ..create_request(name) }
}

#[tokio::test(start_paused = true)]
async fn a_volume_gets_the_attributes_of_its_class() {
    let (rig, volume) = modified().await;
    assert_eq!(attributes(&rig, &volume), ("SSD".into(), Some(3000), Some("for the ledger".into())));
}

#[tokio::test(start_paused = true)]
async fn modifying_a_volume_twice_sends_nothing_the_second_time() {
    let (rig, volume) = modified().await;
    let calls = || (rig.calls(Op::ModifyDisk), rig.calls(Op::UpdateDisk));
    let before = calls();
    rig.modify(&volume, &CLASS).await.unwrap();
    assert_eq!(calls(), before);
}

#[tokio::test(start_paused = true)]
async fn an_attribute_can_be_changed_back_and_forth() {
    let (rig, volume) = modified().await;
    rig.modify(&volume, &[("diskType", "SAS")]).await.unwrap();
    rig.modify(&volume, &[("diskType", "SSD")]).await.unwrap();
    assert_eq!(attributes(&rig, &volume).0, "SSD");
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_does_not_exist_is_not_modified() {
    let (rig, _) = modifiable().await;
    assert_eq!(code(rig.modify("cd-0", &CLASS).await), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_disk_type_that_does_not_exist_is_refused() {
    let (rig, volume) = modifiable().await;
    assert_eq!(code(rig.modify(&volume, &[("diskType", "GOLD")]).await), Code::InvalidArgument);
}

/// Its own StorageClass names another type.
#[tokio::test(start_paused = true)]
async fn a_modified_volume_is_found_by_a_repeated_create() {
    let (rig, volume) = modified().await;
    let again = rig.create(create_request_with("a", &[("diskType", "SSD")])).await.unwrap();
    assert_eq!(again.volume_id, volume);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_cannot_modify_disks_refuses_before_anything_is_changed() {
    let rig = Rig::new();
    let volume = rig.create_volume("a").await;
    let before = attributes(&rig, &volume);
    let refused = rig.modify(&volume, &[("diskType", "SSD"), ("description", "x")]).await.unwrap_err();
    assert!(refused.code() == Code::InvalidArgument && refused.message().contains("diskType"), "{refused}");
    assert_eq!(attributes(&rig, &volume), before);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_cannot_modify_disks_changes_the_description() {
    let rig = Rig::new();
    let volume = rig.create_volume("a").await;
    rig.modify(&volume, &[("description", "x")]).await.unwrap();
    assert_eq!(attributes(&rig, &volume).2, Some("x".into()));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_cannot_modify_disks_orders_a_new_disk_of_any_type() {
    let rig = Rig::new();
    let request = create_request_with("b", &[("diskType", "SSD"), ("description", "y")]);
    let created = rig.create(request).await.unwrap().volume_id;
    assert_eq!(attributes(&rig, &created), ("SSD".into(), None, Some("y".into())));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_cannot_modify_disks_refuses_a_new_disk_with_iops() {
    let rig = Rig::new();
    assert_eq!(code(rig.create(create_request_with("c", &[("iops", "9")])).await), Code::InvalidArgument);
    assert_eq!(rig.disk_count(), 0);
}
