//! A disk with the content of another one, made through a snapshot.

use std::time::Duration;

use super::*;
use eck_csi::volume::VolumeId;
use ecx::api::Op;
use ecx_sim::Effect;
use serve::code::GrpcCode as _;

use crate::error::SnapshotError;
use crate::local_cloud::{LocalCloud, REGION, disk, run};
use crate::name::clone_name;
use crate::snapshot::create::purpose;

/// A cloud with the disk `cd-9` of 25 GiB.
fn cloud() -> LocalCloud {
    let cloud = LocalCloud::new();
    cloud.add(Disk { disk_size: 25, disk_type: "SSD".into(), ..disk("cd-9") });
    cloud
}

/// A volume of 20 to 30 GiB from this one.
fn of(id: &str) -> CreateRequest {
    let source = Some(Source::Volume(VolumeId::parse(id.into()).unwrap()));
    CreateRequest { source, ..ask(&[], &[], &[]) }
}

fn snapshots(cloud: &LocalCloud) -> Vec<String> {
    let name = |record: &ecx_sim::world::SnapshotRecord| record.snapshot.snapshot_name.clone();
    cloud.look(|world| world.snapshots.values().map(name).collect())
}

#[tokio::test(start_paused = true)]
async fn a_clone_is_made_from_a_snapshot_of_its_source() {
    let cloud = cloud();
    let created = run(&cloud.driver(), of("cd-9")).await.unwrap();
    let taken = cloud.sent(Op::CreateSnapshot);
    assert_eq!(taken.len(), 1);
    assert!(taken[0].contains(r#""diskID":"cd-9""#) && taken[0].contains(&clone_name("pvc-1")), "{taken:?}");
    let snapshot = created.disk.volume_source_id.unwrap();
    let sent = cloud.sent(Op::CreateDiskFromSnapshot);
    assert!(sent.len() == 1 && sent[0].contains(&format!(r#""snapshotID":"{snapshot}""#)), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clone_has_its_sources_size_and_type_and_names_it() {
    let created = run(&cloud().driver(), of("cd-9")).await.unwrap();
    assert_eq!((created.disk.disk_size, created.disk.disk_type.as_str()), (25, "SSD"));
    assert_eq!((created.source, created.context.source.as_deref()), (of("cd-9").source, Some("cd-9")));
}

#[tokio::test(start_paused = true)]
async fn when_the_clone_is_there_its_snapshot_goes_and_the_next_one_is_another_order() {
    let cloud = cloud();
    let driver = cloud.driver();
    run(&driver, of("cd-9")).await.unwrap();
    assert_eq!(snapshots(&cloud), [""; 0]);
    assert!(cloud.look(|world| world.disks.contains_key("cd-9")));
    assert_eq!(driver.order_attempts.next(&purpose(&clone_name("pvc-1"))), 2);
}

#[tokio::test(start_paused = true)]
async fn a_retry_finds_the_clone_and_takes_no_snapshot() {
    let cloud = cloud();
    let first = run(&cloud.driver(), of("cd-9")).await.unwrap();
    let again = run(&cloud.driver(), of("cd-9")).await.unwrap();
    assert_eq!(again.disk.disk_id, first.disk.disk_id);
    assert_eq!(cloud.sent(Op::CreateSnapshot).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_clone_outlives_its_source() {
    let cloud = cloud();
    let first = run(&cloud.driver(), of("cd-9")).await.unwrap();
    cloud.change(|world| world.disks.remove("cd-9"));
    let again = run(&cloud.driver(), of("cd-9")).await.unwrap();
    assert_eq!(again.disk.disk_id, first.disk.disk_id);
}

#[tokio::test(start_paused = true)]
async fn a_disk_of_the_name_that_is_smaller_than_the_source_is_no_clone() {
    let cloud = cloud();
    cloud.add(Disk { disk_name: "pvc-1".into(), ..disk("cd-1") });
    let error = run(&cloud.driver(), of("cd-9")).await.unwrap_err();
    let CreateError::Incompatible { what, .. } = &error else { panic!("{error}") };
    assert_eq!(what, "it has 20 GiB and 25 to 30 are asked for");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_exist_is_not_found() {
    for id in ["cd-8", "pvc-8"] {
        let error = run(&cloud().driver(), of(id)).await.unwrap_err();
        let CreateError::NoSource { kind, id: named, .. } = &error else { panic!("{error}") };
        assert_eq!((*kind, named.as_str()), ("volume", id));
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_outcome_is_unknown_leaves_the_snapshot_to_the_retry() {
    let cloud = cloud();
    cloud.meets(Op::CreateDiskFromSnapshot, 0, Effect::DropBefore);
    let error = run(&cloud.driver(), of("cd-9")).await.unwrap_err();
    assert!(matches!(error, CreateError::Cloud { source: ecx::Error::NoReply(_), .. }), "{error}");
    assert_eq!(snapshots(&cloud), [clone_name("pvc-1")]);
    cloud.clear_faults();
    run(&cloud.driver(), of("cd-9")).await.unwrap();
    assert_eq!((snapshots(&cloud).len(), cloud.sent(Op::CreateSnapshot).len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_refused_for_good_takes_the_snapshot_along() {
    let cloud = cloud();
    cloud.meets(Op::CreateDiskFromSnapshot, 1, Effect::SoldOut);
    let error = run(&cloud.driver(), of("cd-9")).await.unwrap_err();
    let CreateError::Exhausted { tried, .. } = &error else { panic!("{error}") };
    assert!(tried.starts_with(&format!("{REGION}: sold out")), "{tried}");
    assert_eq!((snapshots(&cloud).len(), cloud.sent(Op::CreateSnapshot).len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_cannot_be_taken_away_is_left_to_the_retry() {
    let cloud = cloud();
    cloud.meets(Op::DeleteSnapshot, 1, Effect::DropBefore);
    let error = run(&cloud.driver(), of("cd-9")).await.unwrap_err();
    assert!(matches!(&error, CreateError::Cleanup { name, .. } if name == "pvc-1"), "{error}");
    run(&cloud.driver(), of("cd-9")).await.unwrap();
    assert_eq!((snapshots(&cloud).len(), cloud.look(|world| world.bought)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_source_of_which_no_snapshot_can_be_taken_is_an_error_of_the_clone() {
    let cloud = cloud();
    cloud.change(|world| world.disks.get_mut("cd-9").unwrap().disk.disk_status = DiskState::Expired);
    let error = run(&cloud.driver(), of("cd-9")).await.unwrap_err();
    let CreateError::Snapshot { name, source } = &error else { panic!("{error}") };
    assert!(name == "pvc-1" && matches!(&**source, SnapshotError::DeadDisk { .. }), "{source}");
}

/// Seeds 18988 and 38658 of the schedules before dialects: an order of a controller before this one was open, and the claim was given up.
#[tokio::test(start_paused = true)]
async fn a_clone_is_not_given_up_because_nobody_may_ask_for_its_snapshot() {
    for status in [401, 403] {
        let cloud = cloud();
        cloud.meets(Op::ListSnapshots, 100, Effect::Http { status });
        let error = run(&cloud.driver(), of("cd-9")).await.unwrap_err();
        assert!(matches!(error, CreateError::Snapshot { .. }), "{error}");
        assert_eq!(error.code(), tonic::Code::Unavailable, "{error}");
    }
}

/// Seeds 15751 and 45536 of the schedules before dialects: an order of a controller before this one named the snapshot of that time.
#[tokio::test(start_paused = true)]
async fn a_clone_whose_token_an_earlier_snapshot_has_is_ordered_with_another_one_in_the_end() {
    let cloud = cloud();
    let first = run(&cloud.driver(), of("cd-9")).await.unwrap();
    cloud.change(|world| world.disks.remove(&first.disk.disk_id));
    let (driver, begun) = (cloud.driver(), tokio::time::Instant::now());
    let created = loop {
        match run(&driver, of("cd-9")).await {
            Ok(created) => break created,
            Err(error) => assert!(!error.is_final(), "{error}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(3600), "for ever");
        tokio::time::sleep(Duration::from_secs(60)).await;
    };
    assert!(begun.elapsed() > Duration::from_secs(1200), "an order may be open: {:?}", begun.elapsed());
    assert_ne!(created.disk.disk_id, first.disk.disk_id);
    assert_eq!(snapshots(&cloud), [""; 0]);
}
