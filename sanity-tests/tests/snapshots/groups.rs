//! Group snapshots: either all are of one moment, or the group is refused.

use proto::csi::v1 as pb;
use proto::csi::v1::group_controller_server::GroupController as _;
use tonic::{Code, Request, Status};

use crate::rig::{Rig, code, with_retries};

/// Three volumes.
async fn volumes(rig: &Rig) -> [String; 3] {
    [rig.create_volume("a").await, rig.create_volume("b").await, rig.create_volume("c").await]
}

/// A group snapshot of two of three volumes.
struct Group {
    rig: Rig,
    volumes: [String; 3],
    group: pb::VolumeGroupSnapshot,
}

/// The ids of the group's snapshots, in order.
fn snapshot_ids(group: &pb::VolumeGroupSnapshot) -> Vec<String> {
    let mut ids: Vec<_> = group.snapshots.iter().map(|s| s.snapshot_id.clone()).collect();
    ids.sort();
    ids
}

impl Group {
    async fn new() -> Self {
        let rig = Rig::new();
        let volumes = volumes(&rig).await;
        let group = rig.create_group("g", &[&volumes[0], &volumes[1]]).await.unwrap();
        Self { rig, volumes, group }
    }

    /// Creates the group once more with the volumes in another order, until the result is final.
    async fn create_again(&self) -> pb::VolumeGroupSnapshot {
        let [a, b, _] = &self.volumes;
        with_retries(async || self.rig.create_group("g", &[b, a]).await).await.unwrap()
    }

    async fn delete(&self, snapshot_ids: Vec<String>) -> Result<(), Status> {
        let request = pb::DeleteVolumeGroupSnapshotRequest {
            group_snapshot_id: self.group.group_snapshot_id.clone(),
            snapshot_ids,
            ..Default::default()
        };
        self.rig.controller.delete_volume_group_snapshot(Request::new(request)).await.map(drop)
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_has_one_snapshot_of_each_volume() {
    let Group { group, .. } = Group::new().await;
    assert_eq!(group.snapshots.len(), 2);
    assert!(group.snapshots.iter().all(|s| s.group_snapshot_id == group.group_snapshot_id));
}

#[tokio::test(start_paused = true)]
async fn a_new_controller_finds_a_group_by_its_name() {
    let mut group = Group::new().await;
    group.rig.restart_controller();
    assert_eq!(snapshot_ids(&group.create_again().await), snapshot_ids(&group.group));
}

#[tokio::test(start_paused = true)]
async fn a_group_is_found_by_its_id() {
    let Group { rig, group, .. } = Group::new().await;
    let group_snapshot_id = group.group_snapshot_id.clone();
    let request = pb::GetVolumeGroupSnapshotRequest { group_snapshot_id, ..Default::default() };
    let found = rig.controller.get_volume_group_snapshot(Request::new(request)).await.unwrap();
    assert_eq!(snapshot_ids(&found.into_inner().group_snapshot.unwrap()), snapshot_ids(&group));
}

#[tokio::test(start_paused = true)]
async fn a_group_is_not_deleted_with_a_snapshot_that_is_not_in_it() {
    let group = Group::new().await;
    let deleted = group.delete(vec!["zj-shaoxing-2/cs-0".into()]).await;
    assert_eq!(code(deleted), Code::InvalidArgument);
}

#[tokio::test(start_paused = true)]
async fn deleting_a_group_twice_succeeds() {
    let group = Group::new().await;
    for _ in 0..2 {
        group.delete(snapshot_ids(&group.group)).await.unwrap();
        assert!(group.rig.snapshot_names().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_with_an_attached_volume_is_refused() {
    let rig = Rig::new();
    let [a, b, _] = volumes(&rig).await;
    rig.publish(&b, false).await.unwrap();
    let refused = rig.create_group("g", &[&a, &b]).await.unwrap_err();
    assert!(refused.code() == Code::FailedPrecondition && refused.message().contains(&b), "{refused}");
    assert!(rig.snapshot_names().is_empty(), "a refused group left snapshots");
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_refused_group_can_be_used_for_other_volumes() {
    let rig = Rig::new();
    let [a, b, c] = volumes(&rig).await;
    rig.publish(&b, false).await.unwrap();
    rig.create_group("g", &[&a, &b]).await.unwrap_err();
    rig.create_group("g", &[&a, &c]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_group_is_not_used_for_other_volumes() {
    let Group { rig, volumes: [a, _, c], .. } = Group::new().await;
    assert_eq!(code(rig.create_group("g", &[&a, &c]).await), Code::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn a_group_with_a_volume_that_does_not_exist_is_refused() {
    let rig = Rig::new();
    let [a, ..] = volumes(&rig).await;
    assert_eq!(code(rig.create_group("h", &[&a, "cd-0"]).await), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_group_with_a_volume_twice_is_refused() {
    let rig = Rig::new();
    let [a, ..] = volumes(&rig).await;
    assert_eq!(code(rig.create_group("h", &[&a, &a]).await), Code::InvalidArgument);
}

/// As if the controller had crashed between the two snapshots: the first one is older than what was written meanwhile.
#[tokio::test(start_paused = true)]
async fn a_snapshot_of_an_interrupted_attempt_is_not_part_of_the_group() {
    let mut group = Group::new().await;
    let [a, b, _] = &group.volumes;
    let snapshot = |source: &String| {
        let of = group.group.snapshots.iter().find(|s| s.source_volume_id == *source).unwrap();
        of.snapshot_id.clone()
    };
    let (first, second) = (snapshot(a), snapshot(b));
    let second = second.split_once('/').unwrap().1.to_owned();
    group.rig.cloud.change(|world| world.snapshots.remove(&second)).unwrap();
    group.rig.restart_controller();
    let again = group.create_again().await;
    assert!(again.snapshots.iter().all(|s| s.snapshot_id != first), "the first snapshot is older");
    assert_eq!(group.rig.snapshot_names().len(), 2);
}

/// Either the group is complete before a volume is attached, or it is refused.
#[tokio::test(start_paused = true)]
async fn no_volume_of_a_group_is_attached_while_its_snapshots_are_taken() {
    let rig = Rig::new();
    let [a, b, c] = volumes(&rig).await;
    let all = [a.as_str(), &b, &c];
    let (group, _, _) =
        tokio::join!(rig.create_group("g", &all), rig.publish(&c, false), rig.publish(&b, false));
    let calls: Vec<String> = rig.cloud.log_from(0).iter().map(|entry| format!("{:?}", entry.op)).collect();
    match group {
        Ok(group) => {
            assert_eq!(group.snapshots.len(), 3);
            let last_snapshot = calls.iter().rposition(|op| op == "CreateSnapshot").unwrap();
            let first_attach = calls.iter().position(|op| op == "AttachDisk").unwrap();
            assert!(first_attach > last_snapshot, "attached between two snapshots: {calls:?}");
        }
        Err(refused) => {
            assert_eq!(refused.code(), Code::FailedPrecondition);
            assert!(rig.snapshot_names().is_empty());
        }
    }
}
