use super::*;
use ecx::api::{Attachment, DiskState, Op};
use ecx_sim::Effect;

use crate::attach::AttachRequest;
use crate::local_cloud::{LocalCloud, MACHINE, OTHER_MACHINE, REGION, disk, region, run, volume};

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

#[test]
fn only_the_named_machine_loses_the_disk() {
    let attachment = Attachment { instance_id: "evm-1".into(), ..Attachment::default() };
    let held = Disk { disk_status: DiskState::InUse, attachments: vec![attachment], ..Disk::default() };
    assert_eq!(decide(&held, Some("evm-1")), DetachStep::Detach("evm-1".into()));
    assert_eq!(decide(&held, Some("evm-2")), DetachStep::Done);
    assert_eq!(decide(&held, None), DetachStep::Detach("evm-1".into()));
    let busy = Disk { disk_status: DiskState::Detaching, ..held.clone() };
    assert_eq!(decide(&busy, Some("evm-1")), DetachStep::Wait);
    assert_eq!(decide(&Disk::default(), Some("evm-1")), DetachStep::Done);
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
