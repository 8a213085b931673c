use super::*;
use ecx::api::{Attachment, DiskState, Op};
use ecx_sim::Effect;
use ecx_sim::world::World;

use crate::attach::AttachRequest;
use crate::local_cloud::{LocalCloud, MACHINE, OTHER_MACHINE, REGION, disk, region, run, volume};

mod doubt;

const DISK: &str = "cd-1";

fn node(machine: &str) -> NodeId {
    NodeId::Instance { region: region(REGION), instance: machine.into() }
}

fn from(machine: &str) -> DetachRequest {
    DetachRequest { volume: volume(DISK), node: Some(node(machine)) }
}

/// A cloud with one disk, on [`MACHINE`].
fn cloud() -> LocalCloud {
    let cloud = LocalCloud::new();
    cloud.add_held(disk(DISK), MACHINE);
    cloud
}

fn holder(cloud: &LocalCloud) -> Option<String> {
    cloud.record_of(DISK).holder
}

/// Somebody has put the disk on [`MACHINE`].
fn put_on(world: &mut World) {
    let record = world.disks.get_mut(DISK).unwrap();
    (record.holder, record.disk.disk_status) = (Some(MACHINE.into()), DiskState::InUse);
}

#[test]
fn every_field_of_the_message_is_taken() {
    let (volume_id, node_id) = (DISK.to_owned(), format!("{REGION}/{MACHINE}"));
    let message = pb::ControllerUnpublishVolumeRequest { volume_id, node_id, ..Default::default() };
    assert_eq!(DetachRequest::try_from(message).unwrap(), from(MACHINE));
}

#[test]
fn without_a_node_every_machine_is_meant() {
    let message = pb::ControllerUnpublishVolumeRequest { volume_id: DISK.into(), ..Default::default() };
    assert_eq!(DetachRequest::try_from(message).unwrap(), DetachRequest { volume: volume(DISK), node: None });
}

#[test]
fn without_a_volume_nothing_is_meant() {
    let message = pb::ControllerUnpublishVolumeRequest { node_id: MACHINE.into(), ..Default::default() };
    assert_eq!(DetachRequest::try_from(message).unwrap_err().field, "volume_id");
}

#[test]
fn detaches_of_one_volume_follow_each_other() {
    assert_eq!(from(MACHINE).key(), DISK);
    assert_eq!([true, false].map(DetachRequest::on_conflict), [OnConflict::Wait; 2]);
}

fn detach_from(machine: &str) -> Option<DetachStep> {
    Some(DetachStep::Detach(Some(machine.into())))
}

fn held_by(machine: &str) -> Disk {
    let attachment = Attachment { instance_id: machine.into(), ..Attachment::default() };
    Disk { disk_status: DiskState::InUse, attachments: vec![attachment], ..Disk::default() }
}

#[test]
fn only_the_named_machine_loses_the_disk() {
    let (held, evm) = (held_by("evm-1"), |n: u8| [format!("evm-{n}")]);
    assert_eq!(decide(&held, Some(&evm(1))), detach_from("evm-1"));
    assert_eq!(decide(&held, Some(&evm(2))), None);
    assert_eq!(decide(&held, None), detach_from("evm-1"));
}

#[test]
fn a_disk_has_left_when_it_is_free_and_with_nobody() {
    let of = |state| Disk { disk_status: state, ..Disk::default() };
    let evm = ["evm-1".to_owned()];
    assert_eq!(decide(&of(DiskState::Available), Some(&evm)), Some(DetachStep::Done));
    assert_eq!(decide(&of(DiskState::Error), None), Some(DetachStep::Done));
    assert_eq!(decide(&of(DiskState::Detaching), Some(&evm)), Some(DetachStep::Wait));
    let listed = Disk { disk_status: DiskState::Available, ..held_by("evm-1") };
    assert_eq!(decide(&listed, Some(&evm)), detach_from("evm-1"));
}

#[test]
fn a_holder_that_is_not_told_may_be_the_named_machine() {
    let untold = Disk { disk_status: DiskState::InUse, ..Disk::default() };
    assert_eq!(decide(&untold, Some(&["evm-1".to_owned()])), detach_from("evm-1"));
    assert_eq!(decide(&untold, None), Some(DetachStep::Detach(None)));
    assert_eq!(decide(&untold, Some(&[])), None);
}

#[tokio::test(start_paused = true)]
async fn a_detach_takes_the_disk_from_the_machine() {
    let cloud = cloud();
    run(&cloud.driver(), from(MACHINE)).await.unwrap();
    assert_eq!(holder(&cloud), None);
    let sent = format!(r#"{{"diskID":"{DISK}","instanceID":"{MACHINE}","regionID":"{REGION}"}}"#);
    assert_eq!(cloud.sent(Op::DetachDisk), [sent]);
}

#[tokio::test(start_paused = true)]
async fn a_detach_without_a_node_takes_it_from_whichever_has_it() {
    let cloud = LocalCloud::new();
    cloud.add_held(disk(DISK), OTHER_MACHINE);
    run(&cloud.driver(), DetachRequest { node: None, ..from(MACHINE) }).await.unwrap();
    assert_eq!(holder(&cloud), None);
}

#[tokio::test(start_paused = true)]
async fn a_disk_whose_region_is_known_is_detached_without_a_look_before() {
    let cloud = cloud();
    let driver = cloud.driver();
    driver.disk_locator.learn(DISK, &region(REGION));
    run(&driver, from(MACHINE)).await.unwrap();
    assert_eq!(cloud.log_from(0)[0].op, Op::DetachDisk);
}

#[tokio::test(start_paused = true)]
async fn what_was_published_for_reading_only_can_be_published_otherwise_afterwards() {
    let cloud = LocalCloud::new();
    cloud.add(disk(DISK));
    let driver = cloud.driver();
    for readonly in [true, false] {
        run(&driver, AttachRequest { volume: volume(DISK), node: node(MACHINE), readonly }).await.unwrap();
        run(&driver, from(MACHINE)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_on_no_machine() {
    let cloud = LocalCloud::new();
    for id in [DISK, "pvc-1"] {
        run(&cloud.driver(), DetachRequest { volume: volume(id), ..from(MACHINE) }).await.unwrap();
    }
    assert!(cloud.sent(Op::DetachDisk).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_disk_on_a_machine_that_may_be_an_unknown_node_has_not_left_it() {
    let cloud = cloud();
    let node = Some(NodeId::Unknown("worker-1".into()));
    let unknown = run(&cloud.driver(), DetachRequest { node, ..from(MACHINE) }).await.unwrap_err();
    let text = unknown.to_string();
    assert!(text.contains("worker-1") && text.contains(MACHINE), "{text}");
    assert_eq!(holder(&cloud).as_deref(), Some(MACHINE));
}

#[tokio::test(start_paused = true)]
async fn a_free_disk_has_left_a_node_that_nobody_knows() {
    let cloud = LocalCloud::new();
    cloud.add(disk(DISK));
    let node = Some(NodeId::Unknown("worker-1".into()));
    run(&cloud.driver(), DetachRequest { node, ..from(MACHINE) }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_the_list_shows_no_more_still_has_its_disk() {
    let cloud = cloud();
    let node = Some(NodeId::parse(format!("{REGION}.10.0.0.3")).unwrap());
    cloud.change(|world| drop(world.machines.remove(MACHINE)));
    let unknown = run(&cloud.driver(), DetachRequest { node, ..from(MACHINE) }).await.unwrap_err();
    assert!(matches!(unknown, DetachError::UnknownNode { .. }), "{unknown}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_of_another_machine_stays_there() {
    let cloud = cloud();
    let driver = cloud.driver();
    // The first time its region is not known, then it is, and the cloud's refusal is the look.
    for sent in [0, 1] {
        run(&driver, from(OTHER_MACHINE)).await.unwrap();
        assert_eq!(cloud.sent(Op::DetachDisk).len(), sent);
    }
    assert_eq!(holder(&cloud).as_deref(), Some(MACHINE));
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_with_the_disk_is_waited_for() {
    let cloud = LocalCloud::new();
    cloud.add(Disk { disk_status: DiskState::Backup, ..disk(DISK) });
    let driver = cloud.driver();
    let (detached, ()) = tokio::join!(run(&driver, from(MACHINE)), cloud.after(3000, put_on));
    detached.unwrap();
    assert_eq!((holder(&cloud), cloud.sent(Op::DetachDisk).len()), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn a_detach_that_the_cloud_keeps_refusing_is_sent_three_times() {
    let cloud = cloud();
    cloud.change(|world| world.disks.get_mut(DISK).unwrap().disk.disk_status = DiskState::Expired);
    let refused = run(&cloud.driver(), from(MACHINE)).await.unwrap_err();
    assert!(matches!(refused, DetachError::Cloud { source: ecx::Error::DiskState(_), .. }), "{refused}");
    assert_eq!(cloud.sent(Op::DetachDisk).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_a_detach_that_was_done_is_a_success() {
    let cloud = cloud();
    cloud.meets(Op::DetachDisk, 1, Effect::DropAfter);
    run(&cloud.driver(), from(MACHINE)).await.unwrap();
    assert_eq!((holder(&cloud), cloud.sent(Op::DetachDisk).len()), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lost_detach_that_was_not_done_is_left_to_the_retry() {
    let cloud = cloud();
    cloud.meets(Op::DetachDisk, 1, Effect::DropBefore);
    let driver = cloud.driver();
    let lost = run(&driver, from(MACHINE)).await.unwrap_err();
    assert!(matches!(lost, DetachError::Cloud { source: ecx::Error::NoReply(_), .. }), "{lost}");
    assert_eq!(cloud.sent(Op::DetachDisk).len(), 1);
    run(&driver, from(MACHINE)).await.unwrap();
    assert_eq!(holder(&cloud), None);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_gone_when_the_detach_arrives_is_on_no_machine() {
    let cloud = cloud();
    cloud.meets(Op::DetachDisk, 1, Effect::Vanish);
    run(&cloud.driver(), from(MACHINE)).await.unwrap();
    assert_eq!(cloud.sent(Op::DetachDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_detach_whose_job_fails_is_a_failure_that_names_the_machine() {
    let cloud = cloud();
    cloud.meets(Op::DetachDisk, 1, Effect::JobFails);
    let failed = run(&cloud.driver(), from(MACHINE)).await.unwrap_err();
    let DetachError::JobFailed { disk, instance } = &failed else { panic!("{failed}") };
    assert_eq!((disk.as_str(), instance.as_str()), (DISK, MACHINE));
}

/// The world changes after the detach is done and before it is seen.
async fn detach_and_meanwhile(cloud: &LocalCloud, change: fn(&mut World)) {
    let driver = cloud.driver();
    let (detached, ()) = tokio::join!(run(&driver, from(MACHINE)), cloud.after(600, change));
    detached.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_somebody_put_back_at_once_is_detached_again() {
    let cloud = cloud();
    detach_and_meanwhile(&cloud, put_on).await;
    assert_eq!((holder(&cloud), cloud.sent(Op::DetachDisk).len()), (None, 2));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_vanishes_meanwhile_is_on_no_machine() {
    let cloud = cloud();
    detach_and_meanwhile(&cloud, |world| world.disks.clear()).await;
    assert_eq!(cloud.sent(Op::DetachDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_detach_that_does_not_end_is_given_up() {
    let cloud = cloud();
    cloud.meets(Op::DetachDisk, 1, Effect::Stuck);
    let late = run(&cloud.driver(), from(MACHINE)).await.unwrap_err();
    assert!(matches!(late, DetachError::Wait { .. }), "{late}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_put_back_each_time_is_detached_three_times() {
    let cloud = cloud();
    let driver = cloud.driver();
    driver.disk_locator.learn(DISK, &region(REGION));
    let put_back = cloud.always(|world| {
        if world.disks[DISK].disk.disk_status == DiskState::Available {
            put_on(world);
        }
    });
    let held = tokio::select! {
        detached = run(&driver, from(MACHINE)) => detached.unwrap_err(),
        () = put_back => unreachable!(),
    };
    let DetachError::StillHeld { holders, attempts, .. } = &held else { panic!("{held}") };
    assert_eq!((holders.as_str(), *attempts, cloud.sent(Op::DetachDisk).len()), (MACHINE, 3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_met_by_two_more_also_where_the_region_was_known() {
    let cloud = cloud();
    cloud.change(|world| world.disks.get_mut(DISK).unwrap().disk.disk_status = DiskState::Expired);
    let driver = cloud.driver();
    driver.disk_locator.learn(DISK, &region(REGION));
    let refused = run(&driver, from(MACHINE)).await.unwrap_err();
    assert!(matches!(refused, DetachError::Cloud { source: ecx::Error::DiskState(_), .. }), "{refused}");
    assert_eq!(cloud.sent(Op::DetachDisk).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_disk_on_a_machine_of_another_address_has_left_the_node() {
    let cloud = cloud();
    let node = Some(NodeId::parse(format!("{REGION}.10.0.0.4")).unwrap());
    run(&cloud.driver(), DetachRequest { node, ..from(MACHINE) }).await.unwrap();
    assert_eq!(holder(&cloud).as_deref(), Some(MACHINE));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_has_taken_over_the_nodes_address_is_the_node() {
    let cloud = LocalCloud::new();
    cloud.add_held(disk(DISK), OTHER_MACHINE);
    let (driver, node) = (cloud.driver(), NodeId::parse(format!("{REGION}.10.0.0.3")).unwrap());
    // Believed for a minute.
    driver.nodes.resolve(&driver.client, &node).await.unwrap();
    cloud.change(|world| {
        world.machines.remove(MACHINE);
        world.machines.get_mut(OTHER_MACHINE).unwrap().ip = "10.0.0.3".into();
    });
    run(&driver, DetachRequest { node: Some(node), ..from(MACHINE) }).await.unwrap();
    assert_eq!(holder(&cloud), None);
}

#[tokio::test(start_paused = true)]
async fn when_the_cloud_tells_no_holder_a_detach_without_a_node_names_none() {
    let cloud = cloud();
    let request = DetachRequest { node: None, ..from(MACHINE) };
    run(&cloud.driver_without_holders(), request).await.unwrap();
    let sent = format!(r#"{{"diskID":"{DISK}","regionID":"{REGION}"}}"#);
    assert_eq!((holder(&cloud), cloud.sent(Op::DetachDisk)), (None, vec![sent]));
}

#[tokio::test(start_paused = true)]
async fn when_the_cloud_tells_no_holder_the_named_machine_loses_the_disk() {
    let cloud = cloud();
    run(&cloud.driver_without_holders(), from(MACHINE)).await.unwrap();
    assert_eq!((holder(&cloud), cloud.sent(Op::DetachDisk).len()), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn when_the_cloud_tells_neither_holder_nor_node_the_disk_has_not_left_it() {
    let cloud = cloud();
    let node = Some(NodeId::Unknown("worker-1".into()));
    let unknown =
        run(&cloud.driver_without_holders(), DetachRequest { node, ..from(MACHINE) }).await.unwrap_err();
    let DetachError::UnknownNode { holders, .. } = &unknown else { panic!("{unknown}") };
    assert_eq!(holders, "a machine that the cloud does not name");
}
