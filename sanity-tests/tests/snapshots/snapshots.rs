//! Snapshots of a volume.

use tonic::Code;

use crate::rig::{GIB, Rig, code, create_request};

#[tokio::test(start_paused = true)]
async fn a_snapshot_has_size_time_and_place_of_its_volume() {
    let rig = Rig::new();
    let volume = rig.create(create_request("a")).await.unwrap();
    let snapshot = rig.create_snapshot("s", &volume.volume_id).await.unwrap();
    assert_eq!((snapshot.size_bytes, &snapshot.source_volume_id), (20 * GIB, &volume.volume_id));
    assert!(snapshot.creation_time.is_some() && snapshot.accessible_topology == volume.accessible_topology);
}

#[tokio::test(start_paused = true)]
async fn a_new_controller_finds_a_snapshot_by_its_name() {
    let mut rig = Rig::new();
    let volume = rig.create_volume("a").await;
    let first = rig.create_snapshot("s", &volume).await.unwrap();
    rig.restart_controller();
    assert_eq!(rig.create_snapshot("s", &volume).await.unwrap().snapshot_id, first.snapshot_id);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_not_used_for_snapshots_of_two_volumes() {
    let rig = Rig::new();
    let (a, b) = (rig.create_volume("a").await, rig.create_volume("b").await);
    rig.create_snapshot("s", &a).await.unwrap();
    assert_eq!(code(rig.create_snapshot("s", &b).await), Code::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_does_not_exist_has_no_snapshot() {
    assert_eq!(code(Rig::new().create_snapshot("t", "cd-0").await), Code::NotFound);
}

/// The cloud's filter finds names that contain the one in the query.
#[tokio::test(start_paused = true)]
async fn a_name_that_is_part_of_another_one_is_another_name() {
    let rig = Rig::new();
    let (a, b) = (rig.create_volume("a").await, rig.create_volume("b").await);
    let first = rig.create_snapshot("s", &a).await.unwrap();
    let longer = rig.create_snapshot("s-2", &b).await.unwrap();
    assert_ne!(longer.snapshot_id, first.snapshot_id);
    assert_eq!(rig.snapshot_names().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_volume_with_a_snapshot_is_not_deleted() {
    let rig = Rig::new();
    let volume = rig.create_volume("a").await;
    rig.create_snapshot("s", &volume).await.unwrap();
    let refused = rig.delete(&volume).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("cs-"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_volume_whose_snapshots_are_deleted_is_deleted() {
    let rig = Rig::new();
    let volume = rig.create_volume("a").await;
    let snapshot = rig.create_snapshot("s", &volume).await.unwrap().snapshot_id;
    rig.delete_snapshot(&snapshot).await.unwrap();
    rig.delete(&volume).await.unwrap();
    assert_eq!((rig.disk_count(), rig.snapshot_names().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn deleting_a_snapshot_twice_succeeds() {
    let rig = Rig::new();
    let volume = rig.create_volume("a").await;
    let snapshot = rig.create_snapshot("s", &volume).await.unwrap().snapshot_id;
    rig.delete_snapshot(&snapshot).await.unwrap();
    rig.delete_snapshot(&snapshot).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn deleting_a_snapshot_that_never_existed_succeeds() {
    let rig = Rig::new();
    for never in ["x", "zj-shaoxing-2/cs-0", "xx-1/cs-1"] {
        rig.delete_snapshot(never).await.unwrap();
    }
}
