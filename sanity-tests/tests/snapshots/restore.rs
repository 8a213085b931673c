//! Volumes that are restored from a snapshot.

use proto::csi::v1 as pb;
use tonic::Code;

use crate::rig::{
    GIB, OTHER_REGION, Rig, accessible_in, code, create_from, create_request, from_snapshot, parameters,
};

/// A cloud with a snapshot of a volume of 40 GiB on an SSD.
struct Snapshotted {
    rig: Rig,
    snapshot_id: String,
}

impl Snapshotted {
    async fn new() -> Self {
        let rig = Rig::new();
        let source = pb::CreateVolumeRequest {
            capacity_range: Some(pb::CapacityRange { required_bytes: 40 * GIB, limit_bytes: 0 }),
            parameters: parameters(&[("diskType", "SSD")]),
            ..create_request("a")
        };
        let source = rig.create(source).await.unwrap().volume_id;
        let snapshot_id = rig.create_snapshot("s", &source).await.unwrap().snapshot_id;
        Self { rig, snapshot_id }
    }

    /// A request for a volume that is restored from the snapshot.
    fn request(&self, name: &str) -> pb::CreateVolumeRequest {
        create_from(name, from_snapshot(&self.snapshot_id))
    }

    /// Asserts that a request is refused, and that no disk was ordered for it.
    async fn assert_refused(&self, request: pb::CreateVolumeRequest, expected: Code) {
        let disks = self.rig.disk_count();
        assert_eq!(code(self.rig.create(request).await), expected);
        assert_eq!(self.rig.disk_count(), disks, "a refused request ordered a disk");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restored_volume_has_the_size_of_its_snapshot() {
    let Snapshotted { rig, snapshot_id } = Snapshotted::new().await;
    let restored = rig.create(create_from("r", from_snapshot(&snapshot_id))).await.unwrap();
    assert_eq!(restored.capacity_bytes, 40 * GIB);
}

#[tokio::test(start_paused = true)]
async fn a_restored_volume_names_its_snapshot() {
    let snapshotted = Snapshotted::new().await;
    let restored = snapshotted.rig.create(snapshotted.request("r")).await.unwrap();
    assert_eq!(restored.content_source, snapshotted.request("r").volume_content_source);
    assert_eq!(restored.volume_context["eck.csi.k8s.io/content-source"], snapshotted.snapshot_id);
}

#[tokio::test(start_paused = true)]
async fn the_cloud_makes_the_disk_from_the_snapshot_with_its_type() {
    let snapshotted = Snapshotted::new().await;
    let restored = snapshotted.rig.create(snapshotted.request("r")).await.unwrap();
    let disk = snapshotted.rig.cloud.look(|world| world.disks[&restored.volume_id].disk.clone());
    assert_eq!(snapshotted.snapshot_id, format!("zj-shaoxing-2/{}", disk.volume_source_id.unwrap()));
    assert_eq!(disk.disk_type, "SSD");
}

#[tokio::test(start_paused = true)]
async fn a_new_controller_finds_a_restored_volume() {
    let mut snapshotted = Snapshotted::new().await;
    let restored = snapshotted.rig.create(snapshotted.request("r")).await.unwrap();
    snapshotted.rig.restart_controller();
    let again = snapshotted.rig.create(snapshotted.request("r")).await.unwrap();
    assert_eq!(again.volume_id, restored.volume_id);
}

#[tokio::test(start_paused = true)]
async fn a_volume_smaller_than_its_snapshot_is_refused() {
    let snapshotted = Snapshotted::new().await;
    let range = pb::CapacityRange { required_bytes: 20 * GIB, limit_bytes: 30 * GIB };
    let small = pb::CreateVolumeRequest { capacity_range: Some(range), ..snapshotted.request("small") };
    snapshotted.assert_refused(small, Code::OutOfRange).await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_in_another_region_than_its_snapshot_is_refused() {
    let snapshotted = Snapshotted::new().await;
    let away = Some(accessible_in(OTHER_REGION));
    let away = pb::CreateVolumeRequest { accessibility_requirements: away, ..snapshotted.request("away") };
    snapshotted.assert_refused(away, Code::ResourceExhausted).await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_of_another_disk_type_than_its_snapshot_is_refused() {
    let snapshotted = Snapshotted::new().await;
    let parameters = parameters(&[("diskType", "SATA")]);
    let other = pb::CreateVolumeRequest { parameters, ..snapshotted.request("other") };
    snapshotted.assert_refused(other, Code::InvalidArgument).await;
}

#[tokio::test(start_paused = true)]
async fn a_restored_volume_is_found_after_its_snapshot_was_deleted() {
    let snapshotted = Snapshotted::new().await;
    let restored = snapshotted.rig.create(snapshotted.request("r")).await.unwrap();
    snapshotted.rig.delete_snapshot(&snapshotted.snapshot_id).await.unwrap();
    let again = snapshotted.rig.create(snapshotted.request("r")).await.unwrap();
    assert_eq!(again.volume_id, restored.volume_id);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_snapshot_is_not_restored() {
    let snapshotted = Snapshotted::new().await;
    snapshotted.rig.delete_snapshot(&snapshotted.snapshot_id).await.unwrap();
    snapshotted.assert_refused(snapshotted.request("late"), Code::NotFound).await;
}

/// A cloud with two snapshots of volume `a`, and volume `r` that was restored from the first one.
async fn restored_from_first() -> (Rig, [String; 2]) {
    let rig = Rig::new();
    let source = rig.create_volume("a").await;
    let first = rig.create_snapshot("s1", &source).await.unwrap().snapshot_id;
    let second = rig.create_snapshot("s2", &source).await.unwrap().snapshot_id;
    rig.create(create_from("r", from_snapshot(&first))).await.unwrap();
    (rig, [first, second])
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_restored_volume_is_not_used_for_another_snapshot() {
    let (rig, [_, second]) = restored_from_first().await;
    assert_eq!(code(rig.create(create_from("r", from_snapshot(&second))).await), Code::AlreadyExists);
    assert_eq!(rig.disk_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_restored_volume_is_not_used_for_a_blank_one() {
    let (rig, _) = restored_from_first().await;
    assert_eq!(code(rig.create(create_request("r")).await), Code::AlreadyExists);
    assert_eq!(rig.disk_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_blank_volume_is_not_used_for_a_restored_one() {
    let (rig, [first, _]) = restored_from_first().await;
    assert_eq!(code(rig.create(create_from("a", from_snapshot(&first))).await), Code::AlreadyExists);
    assert_eq!(rig.disk_count(), 2);
}
