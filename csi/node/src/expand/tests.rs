use super::*;
use std::time::Duration;

use eck_csi::volume::NodeId;
use pb::CapacityRange;
use uuid::Uuid;

use crate::driver::Settings;
use crate::host::fake::{Call, Disk, FakeMachine, Mounted, Vault};
use crate::host::{Content, DeviceError, Formatted, FsError, FsId, Header, HostError};
use crate::metrics::Decisions;

const VOLUME: &str = "cd-cfebko79upsq2iuo7lkg";
const DISK: (u64, u64) = (253, 16);
const SIZE: u64 = 20 << 30;

fn message(required_bytes: i64, limit_bytes: i64) -> pb::NodeExpandVolumeRequest {
    pb::NodeExpandVolumeRequest {
        volume_id: VOLUME.into(),
        volume_path: "/pod/volume".into(),
        capacity_range: Some(CapacityRange { required_bytes, limit_bytes }),
        ..pb::NodeExpandVolumeRequest::default()
    }
}

/// The field that is complained about.
fn complaint(message: pb::NodeExpandVolumeRequest) -> String {
    match ExpandRequest::try_from(message).unwrap_err() {
        RequestError::Field(bad) => bad.field,
        other => other.to_string(),
    }
}

fn request() -> ExpandRequest {
    ExpandRequest::try_from(message(SIZE.cast_signed(), 0)).unwrap()
}

fn run(machine: &FakeMachine) -> Result<u64, ExpandError> {
    expand(machine, &request(), Instant::now())
}

fn filesystem(fs: FsType) -> Content {
    Content::Formatted(Formatted { fs, id: FsId::Uuid(Uuid::nil()), size_bytes: 10 << 30, clean: true })
}

fn at_path(device: (u64, u64), fs: &str) -> Mounted {
    Mounted { device, target: "/pod/volume".into(), fs: fs.into(), read_only: false }
}

/// The disk's file system is mounted at the path.
fn mounted(fs: FsType) -> FakeMachine {
    let machine = FakeMachine::new([Disk::new(filesystem(fs))]);
    machine.state().mounts.push(at_path(DISK, fs.as_str()));
    machine
}

/// An open encrypted disk, which has grown since it was opened.
fn encrypted() -> FakeMachine {
    let header = Header { uuid: Uuid::nil(), fresh: vec![], room: true };
    let mut vault = Vault { header, keys: vec![], content: filesystem(FsType::Ext4), mapping: None };
    let mut disk = Disk::new(Content::Luks2);
    disk.device.size_bytes = 10 << 30;
    vault.map(&disk.device, &DiskId::parse(VOLUME).unwrap(), false);
    disk.device.size_bytes = SIZE;
    FakeMachine::new([Disk { vault: Some(vault), ..disk }])
}

#[test]
fn every_field_of_the_request_is_taken() {
    let request = ExpandRequest::try_from(message(5, 7)).unwrap();
    let (volume, disk) = (VolumeId::parse(VOLUME.into()).unwrap(), DiskId::parse(VOLUME).unwrap());
    assert_eq!(request, ExpandRequest { volume, disk, bytes: 5, path: "/pod/volume".into() });
}

#[test]
fn a_size_may_be_left_to_the_driver() {
    let bytes = |message| ExpandRequest::try_from(message).unwrap().bytes;
    assert_eq!(bytes(message(0, 0)), 0);
    assert_eq!(bytes(message(0, 7)), 0);
    assert_eq!(bytes(message(7, 0)), 7);
    assert_eq!(bytes(message(7, 7)), 7);
    assert_eq!(bytes(pb::NodeExpandVolumeRequest { capacity_range: None, ..message(1, 1) }), 0);
}

#[test]
fn a_size_that_no_volume_can_have_is_refused() {
    assert_eq!(complaint(message(-1, 0)), "capacity_range.required_bytes");
    assert_eq!(complaint(message(0, -1)), "capacity_range.limit_bytes");
    assert_eq!(complaint(message(8, 7)), "capacity_range.required_bytes");
}

#[test]
fn what_the_request_says_besides_is_refused_if_it_means_nothing() {
    let volume_capability = Some(pb::VolumeCapability::default());
    let bad = pb::NodeExpandVolumeRequest { volume_capability, ..message(1, 0) };
    assert_eq!(complaint(bad), "volume_capability.access_type");
    let nowhere = pb::NodeExpandVolumeRequest { volume_path: String::new(), ..message(1, 0) };
    assert_eq!(complaint(nowhere), "volume_path");
}

#[test]
fn its_key_is_the_volume_and_it_waits_for_other_work() {
    assert_eq!(Operation::<Driver<FakeMachine>>::key(&request()), VOLUME);
    for same_kind in [true, false] {
        let on_conflict = <ExpandRequest as Operation<Driver<FakeMachine>>>::on_conflict(same_kind);
        assert_eq!(on_conflict, OnConflict::Wait);
    }
}

#[tokio::test]
async fn it_ends_with_the_size_of_the_device() {
    let settings = Settings {
        node_id: NodeId::parse("fj-xiamen-4.172.16.0.6".into()).unwrap(),
        device_patience: Duration::ZERO,
        reserved_disks: 0,
        state_dir: "/no/such/folder".into(),
    };
    let driver = Arc::new(Driver::new(mounted(FsType::Ext4), settings, Decisions::default()));
    assert_eq!(Arc::new(request()).run(Arc::clone(&driver)).await.unwrap(), SIZE);
}

#[test]
fn a_mounted_file_system_grows() {
    for fs in [FsType::Ext4, FsType::Ext3, FsType::Xfs] {
        let machine = mounted(fs);
        assert_eq!(run(&machine).unwrap(), SIZE);
        assert_eq!(machine.acts(), [format!("grow the {fs} of vdb at /pod/volume")]);
    }
}

#[test]
fn a_file_system_that_cannot_grow_is_told() {
    let refused = run(&mounted(FsType::Vfat));
    assert!(matches!(refused, Err(ExpandError::Host(HostError::Fs(FsError::CannotGrow { .. })))));
}

#[test]
fn a_file_system_of_nobody_here_is_left_alone() {
    let machine = mounted(FsType::Ext4);
    machine.state().mounts[0].fs = "btrfs".into();
    let error = run(&machine).unwrap_err();
    assert!(matches!(&error, ExpandError::UnknownFs { fs, .. } if fs == "btrfs"), "{error}");
    assert!(machine.acts().is_empty());
}

#[test]
fn a_block_volume_has_grown_when_the_kernel_shows_it() {
    let machine = FakeMachine::new([Disk::new(Content::Blank)]);
    machine.state().nodes.insert("/pod/volume".into(), DISK);
    assert_eq!(run(&machine).unwrap(), SIZE);
    assert!(machine.acts().is_empty());
}

#[test]
fn a_device_file_is_bound_from_the_file_system_of_dev() {
    let machine = FakeMachine::new([Disk::new(Content::Blank)]);
    machine.state().nodes.insert("/pod/volume".into(), DISK);
    machine.state().mounts.push(at_path((0, 5), "devtmpfs"));
    assert_eq!(run(&machine).unwrap(), SIZE);
}

#[test]
fn a_disk_that_the_kernel_does_not_show_larger_yet_has_not_grown() {
    let machine = mounted(FsType::Ext4);
    machine.state().disks[0].device.size_bytes = 10 << 30;
    let refused = run(&machine);
    assert!(matches!(refused, Err(ExpandError::Host(HostError::Device(DeviceError::TooSmall { .. })))));
    assert!(machine.acts().is_empty());
}

#[test]
fn an_encrypted_volume_grows_with_its_mapping() {
    let machine = encrypted();
    machine.state().mounts.push(at_path((252, 0), "ext4"));
    assert_eq!(run(&machine).unwrap(), SIZE);
    assert_eq!(machine.acts(), ["resize dm-0", "grow the ext4 of dm-0 at /pod/volume"]);
}

#[test]
fn an_encrypted_block_volume_grows_by_its_mapping_alone() {
    let machine = encrypted();
    machine.state().nodes.insert("/pod/volume".into(), (252, 0));
    assert_eq!(run(&machine).unwrap(), SIZE);
    assert_eq!(machine.acts(), ["resize dm-0"]);
}

#[test]
fn a_mapping_that_does_not_grow_leaves_the_file_system_alone() {
    let machine = encrypted();
    machine.state().mounts.push(at_path((252, 0), "ext4"));
    machine.when(Call::Resize, 1, |_| Err(DeviceError::NotFound { serials: "x".into() }.into()));
    assert!(run(&machine).is_err());
    assert!(machine.acts().is_empty());
}

#[test]
fn a_volume_that_is_not_at_the_path_is_not_found() {
    let not_found = |machine: &FakeMachine| {
        assert!(matches!(run(machine), Err(ExpandError::NotFound { .. })));
        assert!(machine.acts().is_empty());
    };
    not_found(&FakeMachine::new([]));
    let nowhere = FakeMachine::new([Disk::new(filesystem(FsType::Ext4))]);
    not_found(&nowhere);
    nowhere.state().mounts.push(at_path((253, 32), "ext4"));
    not_found(&nowhere);
    let other_node = FakeMachine::new([Disk::new(Content::Blank)]);
    other_node.state().nodes.insert("/pod/volume".into(), (253, 32));
    not_found(&other_node);
}

#[test]
fn a_path_where_nothing_is_is_not_waited_for() {
    let machine = FakeMachine::new([Disk::new(filesystem(FsType::Ext4))]);
    machine.state().disks[0].device.size_bytes = 10 << 30;
    assert!(matches!(run(&machine), Err(ExpandError::NotFound { .. })));
}
