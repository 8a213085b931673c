//! Two clusters with one id in one cloud account, as after a copied file of values: neither touches the other's disks.

use std::sync::Arc;

use ecx::api::{Disk, Label, Op};
use proto::csi::v1 as pb;
use serve::code::GrpcCode;
use tonic::Code;

use super::*;
use crate::attach::AttachRequest;
use crate::create::CreateRequest;
use crate::delete::DeleteRequest;
use crate::detach::DetachRequest;
use crate::driver::Driver;
use crate::error::CreateError;
use crate::expand::ExpandRequest;
use crate::local_cloud::{CLUSTER, LocalCloud, MACHINE, OTHER_REGION, REGION, disk, run, volume};
use crate::modify::ModifyRequest;
use crate::snapshot::create::SnapshotRequest;

const OPERATIONS: [Op; 6] =
    [Op::AttachDisk, Op::DetachDisk, Op::DeleteDisk, Op::ResizeDisk, Op::UpdateDisk, Op::CreateSnapshot];

/// Of the clusters with one id the one of this number.
fn twin(number: u8) -> ClusterIdentity {
    let uid = ClusterUid::parse(&number.to_string().repeat(32)).unwrap();
    ClusterIdentity { uid: Some(uid), ..ClusterIdentity::of(CLUSTER) }
}

/// The second one, which was rebuilt of the first one's backup.
fn rebuilt() -> ClusterIdentity {
    ClusterIdentity { former_uids: twin(1).uid.into_iter().collect(), ..twin(2) }
}

/// `cd-1` with the mark of this cluster, free.
fn marked(cluster: &ClusterIdentity) -> Disk {
    let label = |(key, value): (&str, String)| Label { key: key.to_owned(), value };
    Disk { labels: cluster.labels().into_iter().map(label).collect(), ..disk("cd-1") }
}

/// A cloud with the first cluster's disk.
fn cloud() -> LocalCloud {
    let cloud = LocalCloud::new();
    cloud.add(marked(&twin(1)));
    cloud
}

fn capability() -> Option<pb::VolumeCapability> {
    use pb::volume_capability::{AccessMode, AccessType, MountVolume, access_mode};
    let mode = AccessMode { mode: access_mode::Mode::SingleNodeWriter.into() };
    let access_type = Some(AccessType::Mount(MountVolume::default()));
    Some(pb::VolumeCapability { access_mode: Some(mode), access_type })
}

fn create() -> CreateRequest {
    let volume_capabilities = capability().into_iter().collect();
    let topology = |region: &str| pb::Topology {
        segments: [(eck_csi::driver::TOPOLOGY_REGION.to_owned(), region.to_owned())].into(),
    };
    let requirement = pb::TopologyRequirement { requisite: vec![topology(REGION)], preferred: vec![] };
    let message = pb::CreateVolumeRequest {
        name: "pvc-1".into(),
        volume_capabilities,
        accessibility_requirements: Some(requirement),
        ..Default::default()
    };
    message.try_into().unwrap()
}

fn attach() -> AttachRequest {
    let message = pb::ControllerPublishVolumeRequest {
        volume_id: "cd-1".into(),
        node_id: format!("{REGION}/{MACHINE}"),
        volume_capability: capability(),
        ..Default::default()
    };
    message.try_into().unwrap()
}

fn delete() -> DeleteRequest {
    pb::DeleteVolumeRequest { volume_id: "cd-1".into(), ..Default::default() }.try_into().unwrap()
}

fn expand() -> ExpandRequest {
    let capacity_range = Some(pb::CapacityRange { required_bytes: 30 << 30, limit_bytes: 0 });
    let message =
        pb::ControllerExpandVolumeRequest { volume_id: "cd-1".into(), capacity_range, ..Default::default() };
    message.try_into().unwrap()
}

fn modify() -> ModifyRequest {
    let mutable_parameters = [("description".to_owned(), "mine".to_owned())].into();
    let volume_id = "cd-1".into();
    let message = pb::ControllerModifyVolumeRequest { volume_id, mutable_parameters, ..Default::default() };
    message.try_into().unwrap()
}

fn snapshot() -> SnapshotRequest {
    SnapshotRequest { name: "snapshot-1".into(), volume: volume("cd-1"), requisite: vec![] }
}

/// What each operation on the disk ends with, in the order that it allows.
async fn every_operation(driver: &Arc<Driver>) -> Vec<Result<(), (Code, String)>> {
    fn told<E: GrpcCode + std::fmt::Display>(error: E) -> (Code, String) {
        (error.code(), error.to_string())
    }
    vec![
        run(driver, attach()).await.map(drop).map_err(told),
        run(driver, DetachRequest { volume: volume("cd-1"), node: None }).await.map_err(told),
        run(driver, expand()).await.map(drop).map_err(told),
        run(driver, modify()).await.map_err(told),
        run(driver, snapshot()).await.map(drop).map_err(told),
        run(driver, delete()).await.map_err(told),
    ]
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_to_another_clusters_disk() {
    let cloud = cloud();
    for ended in every_operation(&cloud.driver_of(twin(2))).await {
        let (code, message) = ended.unwrap_err();
        assert_eq!(code, Code::FailedPrecondition, "{message}");
        for text in [
            "disk cd-1 is another cluster's",
            "the mark of cluster c1 (UID 11111111-1111-1111-1111-111111111111)",
            "this is cluster c1 (UID 22222222-2222-2222-2222-222222222222)",
            "name its UID in formerClusterUids",
        ] {
            assert!(message.contains(text), "{message}");
        }
    }
    for op in OPERATIONS {
        assert_eq!(cloud.sent(op), Vec::<String>::new());
    }
    assert_eq!(cloud.record_of("cd-1").disk, marked(&twin(1)));
}

/// Asserts that this cluster may do everything to a disk with this mark.
async fn assert_taken(cluster: ClusterIdentity, mark: &ClusterIdentity) {
    let cloud = LocalCloud::new();
    cloud.add(marked(mark));
    let mut ended = every_operation(&cloud.driver_of(cluster)).await;
    // It was tried: only the snapshot, which was taken just before, keeps the disk.
    let deleted = ended.pop().unwrap().unwrap_err().1;
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    assert!(deleted.contains("has snapshots"), "{deleted}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_goes_on_with_its_own_disks_and_those_of_before_uids_were_written() {
    assert_taken(twin(1), &twin(1)).await;
    assert_taken(twin(1), &ClusterIdentity::of(CLUSTER)).await;
}

#[tokio::test(start_paused = true)]
async fn a_rebuilt_cluster_goes_on_with_the_disks_of_the_one_that_it_has_come_after() {
    assert_taken(rebuilt(), &twin(1)).await;
    let renamed = ClusterIdentity { former_ids: vec!["old".into()], ..twin(2) };
    assert_taken(renamed, &ClusterIdentity::of("old")).await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_is_ordered_with_the_clusters_id_and_uid() {
    let cloud = LocalCloud::new();
    let made = run(&cloud.driver_of(twin(1)), create()).await.unwrap();
    let labels = made.disk.label_pairs().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
    assert_eq!(labels, ["eck-csi=c1".to_owned(), format!("eck-csi-cluster-uid={}", "1".repeat(32))]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_both_clusters_have_is_one_disk_of_the_first() {
    let cloud = LocalCloud::new();
    let first = run(&cloud.driver_of(twin(1)), create()).await.unwrap();
    let error = run(&cloud.driver_of(twin(2)), create()).await.unwrap_err();
    assert!(
        matches!(&error, CreateError::OtherCluster { disk, .. } if *disk == first.disk.disk_id),
        "{error}"
    );
    assert_eq!(error.code(), Code::FailedPrecondition);
    let again = run(&cloud.driver_of(rebuilt()), create()).await.unwrap();
    assert_eq!(again.disk.disk_id, first.disk.disk_id);
    assert_eq!(cloud.look(|world| world.bought), 1);
}

#[tokio::test(start_paused = true)]
async fn a_disk_of_before_uids_were_written_is_the_volume_that_is_asked_for_again() {
    let cloud = LocalCloud::new();
    let before = run(&cloud.driver(), create()).await.unwrap();
    let after = run(&cloud.driver_of(twin(1)), create()).await.unwrap();
    assert_eq!(before.disk.disk_id, after.disk.disk_id);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_the_cloud_tells_both_clusters_of_is_not_taken() {
    let cloud = LocalCloud::new();
    let made = run(&cloud.driver_of(twin(2)), create()).await.unwrap();
    // The other cluster's order with the same token was first, and its disk shows under the name only later.
    cloud.change(|world| {
        let disk = &mut world.disks.get_mut(&made.disk.disk_id).unwrap().disk;
        disk.labels = marked(&twin(1)).labels;
        disk.disk_name = "not shown yet".into();
    });
    let error = run(&cloud.driver_of(twin(2)), create()).await.unwrap_err();
    assert!(
        matches!(&error, CreateError::OthersAnswer { disk, .. } if *disk == made.disk.disk_id),
        "{error}"
    );
    assert_eq!(error.code(), Code::Aborted, "the retry looks first");
}

#[tokio::test(start_paused = true)]
async fn another_clusters_disk_leaves_a_machine_of_this_one() {
    let cloud = LocalCloud::new();
    cloud.add_held(marked(&twin(1)), MACHINE);
    let node = attach().node;
    run(&cloud.driver_of(twin(2)), DetachRequest { volume: volume("cd-1"), node: Some(node) }).await.unwrap();
    assert_eq!(cloud.record_of("cd-1").holder, None);
}

#[tokio::test(start_paused = true)]
async fn a_name_in_a_region_that_the_class_does_not_name_is_looked_at_too() {
    let cloud = LocalCloud::new();
    cloud.add(Disk { disk_name: "pvc-1".into(), region_id: OTHER_REGION.into(), ..marked(&twin(1)) });
    let error = run(&cloud.driver_of(twin(2)), create()).await.unwrap_err();
    assert!(matches!(error, CreateError::OtherCluster { .. }), "{error}");
}
