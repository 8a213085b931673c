use super::*;
use ecx::api::{DiskState, Op};
use ecx_sim::Effect;
use pb::volume_capability::{AccessMode, AccessType, BlockVolume, access_mode};

use crate::local_cloud::{CLUSTER, LocalCloud, MACHINE, REGION, disk, run, volume};

const DISK: &str = "cd-1";

/// To 30 GiB, or 40 at most.
fn grow() -> ExpandRequest {
    ExpandRequest { volume: volume(DISK), size: SizeRange { min_gib: 30, max_gib: 40 } }
}

/// A cloud with one disk of 20 GiB.
fn cloud() -> LocalCloud {
    let cloud = LocalCloud::new();
    cloud.add(disk(DISK));
    cloud
}

fn size(cloud: &LocalCloud) -> u64 {
    cloud.record_of(DISK).disk.disk_size
}

/// The body of an order to grow to 30 GiB that is the `number`th.
fn order(number: u32) -> String {
    let token = token::resize(CLUSTER, &order_subject(&volume(DISK).disk().unwrap(), number), 30);
    format!(r#"{{"clientToken":"{token}","diskID":"{DISK}","diskSize":30,"regionID":"{REGION}"}}"#)
}

fn message() -> pb::ControllerExpandVolumeRequest {
    let (required_bytes, limit_bytes) = (30 << 30, 40 << 30);
    let capacity_range = Some(pb::CapacityRange { required_bytes, limit_bytes });
    pb::ControllerExpandVolumeRequest { volume_id: DISK.into(), capacity_range, ..Default::default() }
}

fn refused(message: pb::ControllerExpandVolumeRequest) -> String {
    match ExpandRequest::try_from(message).unwrap_err() {
        BadSize::Field(field) | BadSize::OutOfRange(field) => field.field,
    }
}

#[test]
fn every_field_of_the_message_is_taken() {
    assert_eq!(ExpandRequest::try_from(message()).unwrap(), grow());
}

#[test]
fn a_missing_field_is_refused_by_name() {
    let volume_id = String::new();
    assert_eq!(refused(pb::ControllerExpandVolumeRequest { volume_id, ..message() }), "volume_id");
    let capacity_range = None;
    assert_eq!(refused(pb::ControllerExpandVolumeRequest { capacity_range, ..message() }), "capacity_range");
}

#[test]
fn a_capability_is_optional_but_must_be_one_of_a_disk() {
    let with = |mode: access_mode::Mode| {
        let access_type = Some(AccessType::Block(BlockVolume {}));
        let access_mode = Some(AccessMode { mode: mode.into() });
        let volume_capability = Some(pb::VolumeCapability { access_mode, access_type });
        pb::ControllerExpandVolumeRequest { volume_capability, ..message() }
    };
    assert_eq!(ExpandRequest::try_from(with(access_mode::Mode::SingleNodeWriter)).unwrap(), grow());
    assert_eq!(refused(with(access_mode::Mode::MultiNodeMultiWriter)), "volume_capability.access_mode.mode");
}

#[test]
fn a_size_that_no_disk_has_is_refused_by_name() {
    let capacity_range = Some(pb::CapacityRange { required_bytes: 1 << 60, limit_bytes: 0 });
    let message = pb::ControllerExpandVolumeRequest { capacity_range, ..message() };
    assert_eq!(refused(message), "capacity_range.required_bytes");
}

#[test]
fn expansions_of_one_volume_follow_each_other() {
    assert_eq!(grow().key(), DISK);
    assert_eq!([true, false].map(ExpandRequest::on_conflict), [OnConflict::Wait; 2]);
}

#[test]
fn a_disk_only_ever_grows() {
    let found =
        |gib, state: &str| Disk { disk_size: gib, disk_status: DiskState::parse(state), ..disk(DISK) };
    let wanted = grow().size;
    assert_eq!(decide(&found(20, "in-use"), &wanted).unwrap(), ExpandStep::Grow);
    assert_eq!(decide(&found(30, "available"), &wanted).unwrap(), ExpandStep::Done);
    assert_eq!(decide(&found(35, "in-use"), &wanted).unwrap(), ExpandStep::Done);
    assert_eq!(decide(&found(40, "in-use"), &wanted).unwrap(), ExpandStep::Done);
    assert_eq!(decide(&found(20, "resizing"), &wanted).unwrap(), ExpandStep::Wait);
}

#[test]
fn a_disk_that_is_larger_than_it_may_be_is_refused_with_both_sizes() {
    let error = decide(&Disk { disk_size: 50, ..disk(DISK) }, &grow().size).unwrap_err();
    let ExpandError::OutOfRange(field) = &error else { panic!("{error}") };
    assert_eq!((field.field.as_str(), field.value.as_str()), ("capacity_range.limit_bytes", "42949672960"));
    assert_eq!(field.allowed, "at least the disk's size, 53687091200 bytes: disks never shrink");
}

#[test]
fn a_dead_disk_does_not_grow() {
    let error = decide(&Disk { disk_status: DiskState::Expired, ..disk(DISK) }, &grow().size).unwrap_err();
    let ExpandError::Dead { disk, state } = &error else { panic!("{error}") };
    assert_eq!((disk.as_str(), state.as_str()), (DISK, "expired"));
}

#[tokio::test(start_paused = true)]
async fn a_disk_is_grown_to_the_wanted_size_by_one_order() {
    let cloud = cloud();
    assert_eq!(run(&cloud.driver(), grow()).await.unwrap(), 30 << 30);
    assert_eq!((size(&cloud), cloud.sent(Op::ResizeDisk)), (30, vec![order(1)]));
}

#[tokio::test(start_paused = true)]
async fn an_attached_disk_grows_too() {
    let cloud = LocalCloud::new();
    cloud.add_held(disk(DISK), MACHINE);
    assert_eq!(run(&cloud.driver(), grow()).await.unwrap(), 30 << 30);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_large_enough_is_told_with_its_own_size_and_left_alone() {
    let cloud = LocalCloud::new();
    cloud.add(Disk { disk_size: 35, ..disk(DISK) });
    assert_eq!(run(&cloud.driver(), grow()).await.unwrap(), 35 << 30);
    assert!(cloud.sent(Op::ResizeDisk).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_does_not_exist_is_not_found() {
    let driver = LocalCloud::new().driver();
    for id in [DISK, "pvc-1"] {
        let missing = run(&driver, ExpandRequest { volume: volume(id), ..grow() }).await.unwrap_err();
        assert!(matches!(&missing, ExpandError::NoVolume(named) if named == id), "{missing}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_with_the_disk_is_waited_for() {
    let cloud = LocalCloud::new();
    cloud.add_busy(disk(DISK));
    assert_eq!(run(&cloud.driver(), grow()).await.unwrap(), 30 << 30);
    assert_eq!(cloud.sent(Op::ResizeDisk), [order(1)]);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_fails_is_ordered_anew_three_times_in_all() {
    let cloud = cloud();
    cloud.meets(Op::ResizeDisk, 3, Effect::JobFails);
    let driver = cloud.driver();
    let failed = run(&driver, grow()).await.unwrap_err();
    let ExpandError::OrderFailed { disk, attempts } = &failed else { panic!("{failed}") };
    assert_eq!((disk.as_str(), *attempts), (DISK, 3));
    assert_eq!(cloud.sent(Op::ResizeDisk), [1, 2, 3].map(order));
    // The next call goes on counting.
    assert_eq!(run(&driver, grow()).await.unwrap(), 30 << 30);
    assert_eq!(cloud.sent(Op::ResizeDisk)[3], order(4));
}

#[tokio::test(start_paused = true)]
async fn failures_are_forgotten_when_the_disk_has_grown() {
    let cloud = cloud();
    cloud.meets(Op::ResizeDisk, 2, Effect::JobFails);
    let driver = cloud.driver();
    run(&driver, grow()).await.unwrap();
    assert_eq!(driver.order_attempts.next("grow cd-1 to 30"), 1);
}

/// The world changes on the order's way to the cloud.
async fn grow_and_meanwhile(cloud: &LocalCloud, change: fn(&mut Disk)) -> u64 {
    cloud.meets(Op::ResizeDisk, 1, Effect::Delay { ms: 1000 });
    let driver = cloud.driver();
    let now = |change: fn(&mut Disk)| {
        move |world: &mut ecx_sim::world::World| change(&mut world.disks.get_mut(DISK).unwrap().disk)
    };
    let meanwhile = async {
        cloud.after(500, now(change)).await;
        cloud.after(3000, now(|disk| disk.disk_status = DiskState::Available)).await;
    };
    tokio::join!(run(&driver, grow()), meanwhile).0.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_refused_for_the_disks_state_is_sent_again_as_it_was() {
    let cloud = cloud();
    assert_eq!(grow_and_meanwhile(&cloud, |disk| disk.disk_status = DiskState::Backup).await, 30 << 30);
    assert_eq!(cloud.sent(Op::ResizeDisk), [order(1), order(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_somebody_else_has_grown_meanwhile_is_large_enough() {
    let cloud = cloud();
    assert_eq!(grow_and_meanwhile(&cloud, |disk| disk.disk_size = 32).await, 32 << 30);
    assert_eq!(cloud.sent(Op::ResizeDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_quota_is_told_at_once() {
    let cloud = cloud();
    cloud.meets(Op::ResizeDisk, 1, Effect::Quota);
    let refused = run(&cloud.driver(), grow()).await.unwrap_err();
    assert!(matches!(refused, ExpandError::Cloud { source: ecx::Error::Quota(_), .. }), "{refused}");
    assert_eq!(cloud.sent(Op::ResizeDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_vanishes_meanwhile_is_not_found() {
    let cloud = cloud();
    let driver = cloud.driver();
    let vanished = cloud.after(500, |world| world.disks.clear());
    let (gone, ()) = tokio::join!(run(&driver, grow()), vanished);
    assert!(matches!(gone, Err(ExpandError::NoVolume(_))), "{gone:?}");
}

#[tokio::test(start_paused = true)]
async fn a_growth_that_does_not_end_is_given_up() {
    let cloud = cloud();
    cloud.meets(Op::ResizeDisk, 1, Effect::Stuck);
    let late = run(&cloud.driver(), grow()).await.unwrap_err();
    assert!(matches!(late, ExpandError::Wait { .. }), "{late}");
}

#[tokio::test(start_paused = true)]
async fn a_growth_that_is_done_and_not_shown_is_not_ordered_again() {
    let cloud = cloud();
    let driver = cloud.driver();
    let small = cloud.after(600, |world| world.disks.get_mut(DISK).unwrap().disk.disk_size = 20);
    let (not_shown, ()) = tokio::join!(run(&driver, grow()), small);
    assert!(matches!(not_shown, Err(ExpandError::NotShown { gib: 30, .. })), "{not_shown:?}");
    assert_eq!(cloud.sent(Op::ResizeDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_dies_while_it_grows_is_dead() {
    let cloud = cloud();
    cloud.meets(Op::ResizeDisk, 1, Effect::Stuck);
    let driver = cloud.driver();
    let dies = cloud.after(5000, |world| {
        world.disks.get_mut(DISK).unwrap().disk.disk_status = DiskState::Expired;
    });
    let (dead, ()) = tokio::join!(run(&driver, grow()), dies);
    assert!(matches!(dead, Err(ExpandError::Dead { .. })), "{dead:?}");
}

#[test]
fn a_disk_whose_size_is_not_told_is_neither_grown_nor_large_enough() {
    let untold = decide(&Disk { disk_size: 0, ..disk(DISK) }, &grow().size);
    assert!(matches!(&untold, Err(ExpandError::NoSize(named)) if named == DISK), "{untold:?}");
}
