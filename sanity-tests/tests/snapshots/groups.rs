//! Group snapshots: of one moment, or refused.

use proto::csi::v1 as pb;
use proto::csi::v1::group_controller_server::GroupController as _;
use tonic::{Code, Request};

use crate::rig::{Rig, claim, code, persist};

async fn three(rig: &Rig) -> [String; 3] {
    let mut ids = ["a", "b", "c"].map(str::to_owned);
    for name in &mut ids {
        *name = rig.create(claim(name)).await.unwrap().volume_id;
    }
    ids
}

#[tokio::test(start_paused = true)]
async fn a_group_has_one_snapshot_of_each_volume_and_every_retry_the_same() {
    let mut rig = Rig::new();
    let [a, b, _] = three(&rig).await;
    let group = rig.group("g", &[&a, &b]).await.unwrap();
    let id = group.group_snapshot_id.clone();
    assert_eq!(group.snapshots.len(), 2);
    assert!(group.snapshots.iter().all(|s| s.group_snapshot_id == id));
    rig.restart();
    let again = persist(async || rig.group("g", &[&b, &a]).await).await.unwrap();
    let ids = |group: &pb::VolumeGroupSnapshot| {
        let mut ids: Vec<_> = group.snapshots.iter().map(|s| s.snapshot_id.clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&again), ids(&group));
    let q = pb::GetVolumeGroupSnapshotRequest { group_snapshot_id: id.clone(), ..Default::default() };
    let found = rig.controller.get_volume_group_snapshot(Request::new(q)).await.unwrap();
    assert_eq!(ids(&found.into_inner().group_snapshot.unwrap()), ids(&group));
    let delete = async |id: &str, snapshot_ids: Vec<String>| {
        let group_snapshot_id = id.to_owned();
        let q =
            pb::DeleteVolumeGroupSnapshotRequest { group_snapshot_id, snapshot_ids, ..Default::default() };
        rig.controller.delete_volume_group_snapshot(Request::new(q)).await.map(drop)
    };
    assert_eq!(code(delete(&id, vec!["zj-shaoxing-2/cs-0".into()]).await), Code::InvalidArgument);
    delete(&id, ids(&group)).await.unwrap();
    delete(&id, ids(&group)).await.unwrap();
    assert!(rig.snapshots().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_is_attached_makes_the_group_refused_with_nothing_left() {
    let rig = Rig::new();
    let [a, b, c] = three(&rig).await;
    rig.publish(&b, false).await.unwrap();
    let refused = rig.group("g", &[&a, &b]).await.unwrap_err();
    assert!(refused.code() == Code::FailedPrecondition && refused.message().contains(&b), "{refused}");
    assert!(rig.snapshots().is_empty());
    rig.group("g", &[&a, &c]).await.unwrap();
    assert_eq!(code(rig.group("g", &[&a, &b]).await), Code::AlreadyExists);
    assert_eq!(code(rig.group("h", &[&a, "cd-0"]).await), Code::NotFound);
    assert_eq!(code(rig.group("h", &[&a, &a]).await), Code::InvalidArgument);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_attempt_left_is_not_taken_for_a_part_of_the_group() {
    let mut rig = Rig::new();
    let [a, b, _] = three(&rig).await;
    let first = rig.group("g", &[&a, &b]).await.unwrap();
    let kept = first.snapshots.iter().find(|s| s.source_volume_id == a).unwrap().snapshot_id.clone();
    // As if the controller had died between the two.
    let lost = first.snapshots.iter().find(|s| s.source_volume_id == b).unwrap();
    let lost = lost.snapshot_id.split_once('/').unwrap().1.to_owned();
    rig.cloud.change(|world| world.snapshots.remove(&lost)).unwrap();
    rig.restart();
    let second = persist(async || rig.group("g", &[&a, &b]).await).await.unwrap();
    assert!(second.snapshots.iter().all(|s| s.snapshot_id != kept), "written in between, nobody knows what");
    assert_eq!(rig.snapshots().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_volume_of_the_group_is_attached_while_its_snapshots_are_taken() {
    let rig = Rig::new();
    let [a, b, c] = three(&rig).await;
    let all = [a.as_str(), &b, &c];
    let (group, _, _) = tokio::join!(rig.group("g", &all), rig.publish(&c, false), rig.publish(&b, false));
    // Either order of the two is right, and never a mixture: it was whole before anything was attached, or is not at all.
    let taken = rig.cloud.log_from(0);
    let position = |what: &str| taken.iter().position(|entry| format!("{:?}", entry.op) == what);
    match group {
        Ok(group) => {
            assert_eq!(group.snapshots.len(), 3);
            let last = taken.iter().rposition(|entry| format!("{:?}", entry.op) == "CreateSnapshot").unwrap();
            assert!(position("AttachDisk").unwrap() > last, "attached in the midst of it");
        }
        Err(refused) => {
            assert_eq!(refused.code(), Code::FailedPrecondition);
            assert!(rig.snapshots().is_empty());
        }
    }
}
