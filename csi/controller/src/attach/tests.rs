use std::time::Duration;

use super::*;
use ecx::api::{Attachment, DiskState, Op};
use ecx_sim::Effect;
use ecx_sim::config::Config;
use pb::volume_capability::{AccessMode, AccessType, MountVolume, access_mode};

use crate::local_cloud::{
    LocalCloud, MACHINE, OTHER_MACHINE, OTHER_REGION, REGION, disk, region, run, volume,
};

mod doubt;
mod identity;

const DISK: &str = "cd-1";

fn to(machine: &str) -> AttachRequest {
    let node = NodeId::Instance { region: region(REGION), instance: machine.into() };
    AttachRequest { volume: volume(DISK), node, readonly: false }
}

/// A cloud with one free disk.
fn cloud() -> LocalCloud {
    let cloud = LocalCloud::new();
    cloud.add(disk(DISK));
    cloud
}

fn message() -> pb::ControllerPublishVolumeRequest {
    let mode = AccessMode { mode: access_mode::Mode::SingleNodeWriter.into() };
    let access_type = Some(AccessType::Mount(MountVolume::default()));
    pb::ControllerPublishVolumeRequest {
        volume_id: DISK.into(),
        node_id: format!("{REGION}/{MACHINE}"),
        volume_capability: Some(pb::VolumeCapability { access_mode: Some(mode), access_type }),
        readonly: true,
        ..Default::default()
    }
}

#[test]
fn every_field_of_the_message_is_taken() {
    let taken = AttachRequest::try_from(message()).unwrap();
    assert_eq!(taken, AttachRequest { readonly: true, ..to(MACHINE) });
}

#[test]
fn a_missing_field_is_refused_by_name() {
    let refused =
        |message: pb::ControllerPublishVolumeRequest| AttachRequest::try_from(message).unwrap_err().field;
    let volume_id = String::new();
    assert_eq!(refused(pb::ControllerPublishVolumeRequest { volume_id, ..message() }), "volume_id");
    let node_id = String::new();
    assert_eq!(refused(pb::ControllerPublishVolumeRequest { node_id, ..message() }), "node_id");
    let volume_capability = None;
    let message = pb::ControllerPublishVolumeRequest { volume_capability, ..message() };
    assert_eq!(refused(message), "volume_capability");
}

#[test]
fn attaches_of_one_volume_follow_each_other() {
    assert_eq!(to(MACHINE).key(), DISK);
    assert_eq!([true, false].map(AttachRequest::on_conflict), [OnConflict::Wait; 2]);
}

fn found(state: &str, holder: Option<&str>) -> Disk {
    let attach = |i: &str| Attachment { instance_id: i.to_owned(), ..Attachment::default() };
    let attachments = holder.map(attach).into_iter().collect();
    Disk { disk_status: DiskState::parse(state), attachments, ..disk(DISK) }
}

#[test]
fn an_attach_is_sent_only_for_a_free_disk() {
    for state in ["available", "detached"] {
        assert_eq!(decide(&found(state, None), "evm-1").unwrap(), AttachStep::Attach);
    }
    for state in ["attaching", "diskAttaching", "detaching", "creating", "resizing", "some new state"] {
        assert_eq!(decide(&found(state, Some("evm-1")), "evm-1").unwrap(), AttachStep::Wait, "{state}");
    }
    assert_eq!(decide(&found("in-use", Some("evm-1")), "evm-1").unwrap(), AttachStep::Done);
    assert_eq!(decide(&found("attached", Some("evm-2")), "evm-1").unwrap(), AttachStep::Refuse);
    // Attached, but the cloud does not say to whom: not ours to claim.
    assert_eq!(decide(&found("in-use", None), "evm-1").unwrap(), AttachStep::Identify);
}

#[tokio::test(start_paused = true)]
async fn an_attach_puts_the_disk_on_the_machine_and_tells_what_to_look_for() {
    let cloud = cloud();
    let published = run(&cloud.driver(), to(MACHINE)).await.unwrap();
    let expected = PublishContext::new(volume(DISK).disk().unwrap(), 20 << 30);
    assert_eq!(published, expected);
    assert_eq!(cloud.record_of(DISK).holder.as_deref(), Some(MACHINE));
    let sent = format!(
        r#"{{"deleteDiskWithInstance":false,"diskID":"{DISK}","instanceID":"{MACHINE}","regionID":"{REGION}"}}"#
    );
    assert_eq!(cloud.sent(Op::AttachDisk), [sent]);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_there_already_is_not_attached_again() {
    let cloud = cloud();
    for _ in 0..2 {
        run(&cloud.driver(), to(MACHINE)).await.unwrap();
    }
    assert_eq!(cloud.sent(Op::AttachDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_published_for_reading_only_or_not_but_not_both() {
    let (cloud, readonly) = (cloud(), || AttachRequest { readonly: true, ..to(MACHINE) });
    let driver = cloud.driver();
    assert!(run(&driver, readonly()).await.unwrap().readonly);
    assert!(run(&driver, readonly()).await.unwrap().readonly);
    let other = run(&driver, to(MACHINE)).await.unwrap_err();
    assert!(matches!(other, AttachError::OtherReadonly { published: true, .. }), "{other}");
}

#[tokio::test(start_paused = true)]
async fn an_attach_across_regions_is_refused_with_both() {
    let cloud = cloud();
    let node = NodeId::Instance { region: region(OTHER_REGION), instance: "evm-fjxiamen41".into() };
    let refused = run(&cloud.driver(), AttachRequest { node, ..to(MACHINE) }).await.unwrap_err();
    let text =
        format!("disk {DISK} is in region {REGION}, node {OTHER_REGION}/evm-fjxiamen41 in {OTHER_REGION}");
    assert_eq!(refused.to_string(), text);
    assert!(cloud.sent(Op::AttachDisk).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_does_not_exist_is_not_found() {
    let driver = LocalCloud::new().driver();
    for id in [DISK, "pvc-1"] {
        let missing = run(&driver, AttachRequest { volume: volume(id), ..to(MACHINE) }).await.unwrap_err();
        assert!(matches!(&missing, AttachError::NoVolume(named) if named == id), "{missing}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_no_controller_ever_named_is_not_found() {
    let node = NodeId::Unknown("worker-1".into());
    let missing = run(&cloud().driver(), AttachRequest { node, ..to(MACHINE) }).await.unwrap_err();
    assert!(matches!(&missing, AttachError::NoNode(node) if node == "worker-1"), "{missing}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_gone_is_looked_for_anew_by_its_address() {
    let cloud = cloud();
    let driver = cloud.driver();
    let node = NodeId::parse(format!("{REGION}.10.0.0.3")).unwrap();
    let by_address = |id| AttachRequest { volume: volume(id), node: node.clone(), readonly: false };
    run(&driver, by_address(DISK)).await.unwrap();
    cloud.add(disk("cd-2"));
    cloud.change(|world| {
        let mut machine = world.machines.remove(MACHINE).unwrap();
        machine.id = "evm-new".into();
        world.machines.insert("evm-new".into(), machine);
    });
    let gone = run(&driver, by_address("cd-2")).await.unwrap_err();
    assert!(matches!(gone, AttachError::NoNode(_)), "{gone}");
    run(&driver, by_address("cd-2")).await.unwrap();
    assert_eq!(cloud.record_of("cd-2").holder.as_deref(), Some("evm-new"));
}

#[tokio::test(start_paused = true)]
async fn a_disk_of_another_machine_stays_there_and_the_message_names_the_node() {
    let cloud = cloud();
    let driver = cloud.driver();
    let node = NodeId::parse(format!("{REGION}.10.0.0.4")).unwrap();
    run(&driver, AttachRequest { node, ..to(MACHINE) }).await.unwrap();
    let refused = run(&driver, to(MACHINE)).await.unwrap_err();
    let named = format!("{REGION}.10.0.0.4");
    assert!(matches!(&refused, AttachError::Elsewhere { holders, .. } if *holders == named), "{refused}");
    assert_eq!(cloud.record_of(DISK).holder.as_deref(), Some(OTHER_MACHINE));
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_with_the_disk_is_waited_for() {
    let cloud = LocalCloud::new();
    cloud.add_busy(disk(DISK));
    run(&cloud.driver(), to(MACHINE)).await.unwrap();
    assert_eq!(cloud.sent(Op::AttachDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_disk_is_not_attached() {
    let cloud = LocalCloud::new();
    cloud.add(found("expired", None));
    let dead = run(&cloud.driver(), to(MACHINE)).await.unwrap_err();
    assert!(
        matches!(&dead, AttachError::Dead { disk, state } if (&**disk, &**state) == (DISK, "expired")),
        "{dead}"
    );
    assert!(cloud.sent(Op::AttachDisk).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_what_has_changed_since_the_look_is_met_by_another_look() {
    let cloud = cloud();
    cloud.meets(Op::AttachDisk, 1, Effect::Delay { ms: 1000 });
    let driver = cloud.driver();
    let snapshotted =
        cloud.after(500, |world| world.disks.get_mut(DISK).unwrap().disk.disk_status = DiskState::Backup);
    let free = async {
        snapshotted.await;
        cloud
            .after(3000, |world| world.disks.get_mut(DISK).unwrap().disk.disk_status = DiskState::Available)
            .await;
    };
    let (attached, ()) = tokio::join!(run(&driver, to(MACHINE)), free);
    attached.unwrap();
    assert_eq!(cloud.sent(Op::AttachDisk).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_attach_that_the_cloud_keeps_refusing_is_sent_three_times() {
    let cloud = LocalCloud::new();
    cloud.add_held(disk(DISK), OTHER_MACHINE);
    // What the cloud shows and what it does are two things.
    cloud.change(|world| world.disks.get_mut(DISK).unwrap().disk.disk_status = DiskState::Available);
    let refused = run(&cloud.driver(), to(MACHINE)).await.unwrap_err();
    assert!(
        matches!(&refused, AttachError::Cloud { source: ecx::Error::AttachedElsewhere(_), .. }),
        "{refused}"
    );
    assert_eq!(cloud.sent(Op::AttachDisk).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_an_attach_that_was_done_is_a_success() {
    let cloud = cloud();
    cloud.meets(Op::AttachDisk, 1, Effect::DropAfter);
    run(&cloud.driver(), to(MACHINE)).await.unwrap();
    assert_eq!(cloud.sent(Op::AttachDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_attach_that_was_not_done_is_left_to_the_retry() {
    let cloud = cloud();
    cloud.meets(Op::AttachDisk, 1, Effect::DropBefore);
    let driver = cloud.driver();
    let lost = run(&driver, to(MACHINE)).await.unwrap_err();
    assert!(matches!(lost, AttachError::Cloud { source: ecx::Error::NoReply(_), .. }), "{lost}");
    assert_eq!(cloud.sent(Op::AttachDisk).len(), 1);
    run(&driver, to(MACHINE)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_no_other_look_can_change_is_told_at_once() {
    let mut config = Config::default();
    config.regions.get_mut(REGION).unwrap().instances[0].max_disks = 0;
    let cloud = LocalCloud::of(config);
    cloud.add(disk(DISK));
    let driver = cloud.driver();
    driver.disk_locator.learn(DISK, &region(REGION));
    let full = run(&driver, to(MACHINE)).await.unwrap_err();
    assert!(matches!(full, AttachError::Cloud { source: ecx::Error::NoSlot(_), .. }), "{full}");
    assert_eq!(cloud.sent(Op::GetDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attach_whose_job_fails_is_a_failure() {
    let cloud = cloud();
    cloud.meets(Op::AttachDisk, 1, Effect::JobFails);
    let failed = run(&cloud.driver(), to(MACHINE)).await.unwrap_err();
    assert!(matches!(&failed, AttachError::JobFailed { disk } if disk == DISK), "{failed}");
}

/// The world changes after the attach is done and before it is seen.
async fn attach_and_meanwhile(
    cloud: &LocalCloud,
    change: fn(&mut ecx_sim::world::World),
) -> Result<PublishContext, AttachError> {
    let driver = cloud.driver();
    let (attached, ()) = tokio::join!(run(&driver, to(MACHINE)), cloud.after(600, change));
    attached
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_was_taken_off_at_once_is_attached_again() {
    let cloud = cloud();
    let attached = attach_and_meanwhile(&cloud, |world| {
        let record = world.disks.get_mut(DISK).unwrap();
        (record.holder, record.disk.disk_status) = (None, DiskState::Available);
    });
    attached.await.unwrap();
    assert_eq!(cloud.sent(Op::AttachDisk).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_vanishes_meanwhile_is_not_found() {
    let cloud = cloud();
    let gone = attach_and_meanwhile(&cloud, |world| world.disks.clear()).await.unwrap_err();
    assert!(matches!(&gone, AttachError::NoVolume(disk) if disk == DISK), "{gone}");
}

#[tokio::test(start_paused = true)]
async fn an_attach_that_does_not_end_is_given_up() {
    let cloud = cloud();
    cloud.meets(Op::AttachDisk, 1, Effect::Stuck);
    let (driver, started) = (cloud.driver(), tokio::time::Instant::now());
    let late = run(&driver, to(MACHINE)).await.unwrap_err();
    assert!(matches!(late, AttachError::Wait { .. }), "{late}");
    assert!(started.elapsed() > Duration::from_secs(299), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_taken_off_each_time_is_attached_three_times() {
    let cloud = cloud();
    let driver = cloud.driver();
    let take_off = cloud.always(|world| {
        let record = world.disks.get_mut(DISK).unwrap();
        if record.disk.disk_status == DiskState::InUse {
            (record.holder, record.disk.disk_status) = (None, DiskState::Available);
        }
    });
    let not_shown = tokio::select! {
        attached = run(&driver, to(MACHINE)) => attached.unwrap_err(),
        () = take_off => unreachable!(),
    };
    assert!(matches!(&not_shown, AttachError::NotShown { attempts: 3, .. }), "{not_shown}");
    assert_eq!(cloud.sent(Op::AttachDisk).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn when_the_cloud_tells_no_holder_an_attach_that_it_took_is_enough() {
    let cloud = cloud();
    run(&cloud.driver_without_holders(), to(MACHINE)).await.unwrap();
    assert_eq!(cloud.record_of(DISK).holder.as_deref(), Some(MACHINE));
    assert!(cloud.sent(Op::ListInstances).is_empty());
}

#[tokio::test(start_paused = true)]
async fn when_the_cloud_tells_no_holder_the_machine_is_asked() {
    let cloud = LocalCloud::new();
    cloud.add_held(disk(DISK), MACHINE);
    let driver = cloud.driver_without_holders();
    run(&driver, to(MACHINE)).await.unwrap();
    let other = run(&driver, to(OTHER_MACHINE)).await.unwrap_err();
    let AttachError::Elsewhere { holders, .. } = &other else { panic!("{other}") };
    assert_eq!(holders, "a machine that the cloud does not name");
    assert!(cloud.sent(Op::AttachDisk).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_address_of_two_machines_is_refused_with_both() {
    let mut config = Config::default();
    config.regions.get_mut(REGION).unwrap().instances[1].ip = "10.0.0.3".into();
    let cloud = LocalCloud::of(config);
    cloud.add(disk(DISK));
    let node = NodeId::parse(format!("{REGION}.10.0.0.3")).unwrap();
    let refused = run(&cloud.driver(), AttachRequest { node, ..to(MACHINE) }).await.unwrap_err();
    let AttachError::AmbiguousNode { machines, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*machines, format!("{MACHINE} and {OTHER_MACHINE}"));
}

/// A first attach was sent by a controller that is gone, and the cloud carries it out after the disk has left that machine again.
#[tokio::test(start_paused = true)]
async fn a_disk_that_a_late_attach_has_put_where_nobody_wants_it_is_taken_off_and_attached() {
    let cloud = cloud();
    let driver = cloud.driver();
    run(&driver, to(MACHINE)).await.unwrap();
    let off = |machine: &str| detach::DetachRequest { volume: volume(DISK), node: Some(to(machine).node) };
    run(&driver, off(MACHINE)).await.unwrap();
    cloud.add_held(disk(DISK), MACHINE);
    // A controller that knows nothing of it touches nothing.
    let refused = run(&cloud.driver(), to(OTHER_MACHINE)).await.unwrap_err();
    assert!(matches!(refused, AttachError::Elsewhere { .. }), "{refused}");
    run(&driver, to(OTHER_MACHINE)).await.unwrap();
    assert_eq!(cloud.record_of(DISK).holder.as_deref(), Some(OTHER_MACHINE));
    // Once it is wanted there again it is nobody's to take.
    run(&driver, off(OTHER_MACHINE)).await.unwrap();
    run(&driver, to(MACHINE)).await.unwrap();
    let refused = run(&driver, to(OTHER_MACHINE)).await.unwrap_err();
    assert!(matches!(refused, AttachError::Elsewhere { .. }), "{refused}");
}
