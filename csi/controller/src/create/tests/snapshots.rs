//! A disk with the content of a snapshot.

use super::*;
use ecx::api::{Op, Snapshot};
use ecx::token;
use ecx_sim::world::SnapshotRecord;

use crate::local_cloud::{LocalCloud, OTHER_REGION, REGION, run};
use crate::snapshot::SnapshotId;

/// A cloud with the snapshot `cs-1` of 25 GiB in this state, which becomes usable when it is made for three seconds.
fn cloud(state: &str) -> LocalCloud {
    let cloud = LocalCloud::new();
    let snapshot = Snapshot {
        snapshot_id: "cs-1".into(),
        snapshot_status: state.into(),
        disk_id: "cd-9".into(),
        volume_size: 25,
        region_id: REGION.into(),
        volume_type: Some("SSD".into()),
        ..Snapshot::default()
    };
    let due = if state == "creating" { cloud.now_ms() + 3000 } else { u64::MAX };
    cloud.change(|world| world.snapshots.insert("cs-1".into(), SnapshotRecord { snapshot, due }));
    cloud
}

/// A volume of 20 to 30 GiB from it.
fn volume() -> CreateRequest {
    let source = Some(Source::Snapshot(SnapshotId::new(&region(REGION), "cs-1")));
    CreateRequest { source, ..ask(&[], &[], &[]) }
}

async fn refused(cloud: &LocalCloud, request: CreateRequest) -> CreateError {
    let error = run(&cloud.driver(), request).await.unwrap_err();
    assert!(cloud.sent(Op::CreateDiskFromSnapshot).is_empty());
    error
}

#[tokio::test(start_paused = true)]
async fn the_disk_is_ordered_from_the_snapshot_with_neither_type_nor_label() {
    let cloud = cloud("available");
    run(&cloud.driver(), volume()).await.unwrap();
    let token = token::create(CLUSTER, "pvc-1");
    let sent = format!(
        r#"{{"clientToken":"{token}","deleteDiskWithInstance":false,"diskMode":"VBD","diskName":"pvc-1","diskSize":25,"onDemand":true,{}}}"#,
        format_args!(r#""regionID":"{REGION}","snapshotID":"cs-1""#)
    );
    assert_eq!(cloud.sent(Op::CreateDiskFromSnapshot), [sent]);
    assert!(cloud.sent(Op::CreateDisk).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_created_volume_names_its_source() {
    let created = run(&cloud("available").driver(), volume()).await.unwrap();
    assert_eq!(created.source, volume().source);
    assert_eq!(created.context.source, Some(format!("{REGION}/cs-1")));
    assert_eq!(created.disk.volume_source_id.as_deref(), Some("cs-1"));
    assert_eq!((created.disk.disk_size, created.disk.disk_type.as_str()), (25, "SSD"));
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_stays() {
    let cloud = cloud("available");
    run(&cloud.driver(), volume()).await.unwrap();
    assert!(cloud.look(|world| world.snapshots.contains_key("cs-1")));
    assert!(cloud.sent(Op::DeleteSnapshot).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_being_made_is_waited_for() {
    let created = run(&cloud("creating").driver(), volume()).await.unwrap();
    assert_eq!(created.disk.volume_source_id.as_deref(), Some("cs-1"));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_will_not_become_usable_is_refused_with_its_state() {
    let error = refused(&cloud("error"), volume()).await;
    let CreateError::DeadSource { kind, id, state } = &error else { panic!("{error}") };
    assert_eq!((*kind, id.as_str(), state.as_str()), ("snapshot", "cs-1", "error"));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_does_not_exist_is_not_found() {
    let error = refused(&LocalCloud::new(), volume()).await;
    let CreateError::NoSource { name, kind, id } = &error else { panic!("{error}") };
    assert_eq!((name.as_str(), *kind, id.clone()), ("pvc-1", "snapshot", format!("{REGION}/cs-1")));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_goes_while_it_is_waited_for_is_not_found() {
    let cloud = cloud("creating");
    let deleted = cloud.after(500, |world| world.snapshots.clear());
    let (error, ()) = tokio::join!(refused(&cloud, volume()), deleted);
    let CreateError::NoSource { kind, id, .. } = &error else { panic!("{error}") };
    assert_eq!((*kind, id.clone()), ("snapshot", format!("{REGION}/cs-1")));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_was_made_of_a_snapshot_outlives_it() {
    let cloud = cloud("available");
    let made = run(&cloud.driver(), volume()).await.unwrap();
    cloud.change(|world| world.snapshots.clear());
    let again = run(&cloud.driver(), volume()).await.unwrap();
    assert_eq!((again.disk.disk_id, again.source), (made.disk.disk_id, volume().source));
}

#[tokio::test(start_paused = true)]
async fn a_disk_of_another_snapshot_is_not_the_volume() {
    let cloud = cloud("available");
    cloud.add(Disk {
        disk_name: "pvc-1".into(),
        volume_source_id: Some("cs-2".into()),
        ..crate::local_cloud::disk("cd-1")
    });
    let error = refused(&cloud, volume()).await;
    let CreateError::Incompatible { what, .. } = &error else { panic!("{error}") };
    assert_eq!(*what, format!("it was made from cs-2 and {REGION}/cs-1 is asked for"));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_in_a_region_that_is_not_allowed_is_refused_with_both() {
    let requisite = vec![region(OTHER_REGION)];
    let error = refused(&cloud("available"), CreateRequest { requisite, ..volume() }).await;
    let CreateError::SourceElsewhere { name, region, allowed } = &error else { panic!("{error}") };
    assert_eq!([name, region, allowed].map(String::as_str), ["pvc-1", REGION, OTHER_REGION]);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_larger_than_the_volume_may_be_is_refused_with_both_sizes() {
    let size = SizeRange { min_gib: 20, max_gib: 24 };
    let error = refused(&cloud("available"), CreateRequest { size, ..volume() }).await;
    let CreateError::OutOfRange(field) = &error else { panic!("{error}") };
    assert_eq!((field.field.as_str(), field.value.as_str()), ("capacity_range.limit_bytes", "25769803776"));
    assert_eq!(field.allowed, "0 or at least the source's 26843545600 bytes");
}

#[tokio::test(start_paused = true)]
async fn a_type_that_is_not_the_snapshots_is_refused() {
    let mut request = volume();
    request.parameters.disk_type = Some("SAS".into());
    let error = refused(&cloud("available"), request).await;
    assert!(matches!(&error, CreateError::Field(field) if field.field == "parameters.diskType"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_type_of_a_class_of_attributes_would_be_a_change_which_this_cloud_cannot_do() {
    let mutable = Mutable { disk_type: Some("SATA".into()), ..Mutable::default() };
    let error = refused(&cloud("available"), CreateRequest { mutable, ..volume() }).await;
    let CreateError::Field(field) = &error else { panic!("{error}") };
    assert_eq!(field.field, "mutable_parameters.diskType");
}
