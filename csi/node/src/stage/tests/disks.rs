use super::*;
use std::time::Duration;

use eck_csi::volume_options::MkfsOptions;

use crate::host::fake::Mounted;

#[test]
fn a_blank_disk_is_formatted_and_mounted() {
    let machine = machine(Content::Blank);
    assert_eq!(stage_now(&machine, &ask()).unwrap(), StageResult::Formatted);
    assert_eq!(
        machine.acts(),
        ["make the directory /staging", "format vdb as ext4", "mount vdb as ext4 at /staging (rw)"]
    );
}

#[test]
fn a_file_system_is_made_with_the_volumes_own_identity_and_the_options_of_its_class() {
    let machine = machine(Content::Blank);
    let mkfs = MkfsOptions::parse("mkfsOptions", "blockSize=1024").unwrap();
    let options = VolumeOptions { mkfs: mkfs.clone(), ..VolumeOptions::default() };
    stage_now(&machine, &StageRequest { options, ..ask_for(FsType::Ext3, &[]) }).unwrap();
    let id = volume(VOLUME);
    let (uuid, fat) = (fsid::filesystem_uuid(&id), fsid::fat_serial(&id));
    let format = Format { fs: FsType::Ext3, uuid, fat, options: mkfs, depth: Depth::Sampled };
    assert_eq!(machine.formats(), [format]);
}

#[test]
fn of_an_adopted_disk_every_byte_must_be_blank() {
    let hidden = Foreign { what: "data that nobody knows".into(), at: 7 << 30 };
    let machine = || FakeMachine::new([Disk { hidden: Some(hidden.clone()), ..Disk::new(Content::Blank) }]);
    let adopted = StageRequest { provisioned: false, ..ask() };
    let refused = machine();
    assert!(matches!(stage_now(&refused, &adopted), Err(StageError::Foreign { at, .. }) if at == 7 << 30));
    assert!(refused.acts().is_empty());
    let ordered = machine();
    assert_eq!(stage_now(&ordered, &ask()).unwrap(), StageResult::Formatted, "ordered empty by this driver");
}

#[test]
fn the_volumes_own_file_system_is_mounted_as_it_is() {
    let machine = machine(own(FsType::Ext4));
    assert_eq!(stage_now(&machine, &ask()).unwrap(), StageResult::Mounted);
    assert_eq!(machine.acts(), ["make the directory /staging", "mount vdb as ext4 at /staging (rw)"]);
}

#[test]
fn what_is_staged_as_asked_is_not_touched_again() {
    let machine = machine(own(FsType::Ext4));
    stage_now(&machine, &ask()).unwrap();
    let acts = machine.acts();
    assert_eq!(stage_now(&machine, &ask()).unwrap(), StageResult::Already);
    assert_eq!(machine.acts(), acts);
}

#[test]
fn an_unclean_file_system_is_checked_before_it_is_mounted() {
    let machine = machine(unclean(own(FsType::Ext4)));
    stage_now(&machine, &ask()).unwrap();
    assert_eq!(
        machine.acts(),
        ["make the directory /staging", "check vdb as ext4: Repair", "mount vdb as ext4 at /staging (rw)"]
    );
}

#[test]
fn a_file_system_that_is_mounted_elsewhere_is_not_checked() {
    let machine = machine(unclean(own(FsType::Ext4)));
    let elsewhere =
        Mounted { device: (253, 16), target: "/else".into(), fs: "ext4".into(), read_only: false };
    machine.state().mounts.push(elsewhere);
    assert_eq!(stage_now(&machine, &ask()).unwrap(), StageResult::Mounted);
    assert_eq!(machine.acts(), ["make the directory /staging", "mount vdb as ext4 at /staging (rw)"]);
}

#[test]
fn a_file_system_grows_once_it_is_mounted_on_a_larger_disk() {
    let half = formatted(FsType::Xfs, fsid::filesystem_uuid(&volume(VOLUME)), 10 << 30);
    let machine = machine(half);
    assert_eq!(stage_now(&machine, &ask()).unwrap(), StageResult::Mounted);
    assert_eq!(
        machine.acts()[1..],
        ["mount vdb as xfs at /staging (rw,nouuid)", "grow the xfs of vdb at /staging"]
    );
    assert_eq!(machine.state().disks[0].content, own(FsType::Xfs));
}

#[test]
fn what_is_only_to_be_read_is_neither_checked_nor_grown() {
    let half = formatted(FsType::Ext4, fsid::filesystem_uuid(&volume(VOLUME)), 10 << 30);
    let machine = machine(unclean(half));
    stage_now(&machine, &StageRequest { read_only: true, ..ask() }).unwrap();
    assert_eq!(machine.acts(), ["make the directory /staging", "mount vdb as ext4 at /staging (ro)"]);
}

#[test]
fn a_fat_on_a_larger_disk_is_mounted_and_stays_as_it_is() {
    let id = FsId::Fat(fsid::fat_serial(&volume(VOLUME)));
    let fat = Formatted { fs: FsType::Vfat, id, size_bytes: 10 << 30, clean: true };
    let machine = machine(Content::Formatted(fat));
    assert_eq!(stage_now(&machine, &ask()).unwrap(), StageResult::Mounted);
    assert_eq!(machine.acts()[1..], ["mount vdb as vfat at /staging (rw)"]);
}

#[test]
fn xfs_is_mounted_beside_its_copies_and_others_with_no_more_than_was_asked_for() {
    let mounted = |fs, options: &[&str]| {
        let machine = machine(own(fs));
        stage_now(&machine, &ask_for(fs, options)).unwrap();
        machine.acts().pop().unwrap()
    };
    assert_eq!(mounted(FsType::Xfs, &["noatime"]), "mount vdb as xfs at /staging (rw,noatime,nouuid)");
    assert_eq!(mounted(FsType::Xfs, &["nouuid"]), "mount vdb as xfs at /staging (rw,nouuid)");
    assert_eq!(mounted(FsType::Ext4, &["noatime"]), "mount vdb as ext4 at /staging (rw,noatime)");
}

#[test]
fn a_block_volume_is_found_and_not_touched() {
    let machine = machine(Content::Foreign(Foreign { what: "a database".into(), at: 0 }));
    let block = StageRequest { access: AccessType::Block, ..ask() };
    assert_eq!(stage_now(&machine, &block).unwrap(), StageResult::Block);
    assert!(machine.acts().is_empty());
}

#[test]
fn a_disk_may_appear_until_the_deadline() {
    let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(30));
    let machine = || FakeMachine::new([Disk { appears: Some(later), ..Disk::new(own(FsType::Ext4)) }]);
    let early = stage(&machine(), &ask(), now).unwrap_err();
    assert!(early.to_string().starts_with("no block device has a serial of"), "{early}");
    assert_eq!(stage(&machine(), &ask(), later).unwrap(), StageResult::Mounted);
}
