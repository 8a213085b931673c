use super::*;
use eck_csi::context::PublishContext;
use eck_csi::volume::{DiskId, VolumeId};
use eck_csi::volume_options::VolumeOptions;
use uuid::Uuid;

use crate::host::device::tests::device;
use crate::host::fake::{Disk, FakeMachine};
use crate::host::{Foreign, Formatted};

mod copies;
mod disks;
mod encrypted;
mod operation;
mod refusals;

const VOLUME: &str = "cd-cfebko79upsq2iuo7lkg";

pub(crate) fn volume(id: &str) -> VolumeId {
    VolumeId::parse(id.to_owned()).unwrap()
}

pub(crate) fn ask() -> StageRequest {
    StageRequest {
        volume: volume(VOLUME),
        publish: PublishContext::new(DiskId::parse(VOLUME).unwrap(), 20 << 30),
        staging: "/staging".into(),
        access: AccessType::Mount { fs: None, options: vec![] },
        read_only: false,
        provisioned: true,
        source: None,
        options: VolumeOptions::default(),
        keys: None,
    }
}

/// Stages from what the disk holds; a disk that is not there yet is not waited for.
fn stage_now(machine: &FakeMachine, request: &StageRequest) -> Result<StageResult, StageError> {
    stage(machine, request, Instant::now())
}

fn machine(content: Content) -> FakeMachine {
    FakeMachine::new([Disk::new(content)])
}

/// This volume's own file system, as large as its disk.
fn own(fs: FsType) -> Content {
    formatted(fs, fsid::filesystem_uuid(&volume(VOLUME)), 20 << 30)
}

/// The same, with flags that ask for a check.
fn unclean(content: Content) -> Content {
    let Content::Formatted(found) = content else { panic!("no file system: {content:?}") };
    Content::Formatted(Formatted { clean: false, ..found })
}

fn ask_for(fs: FsType, options: &[&str]) -> StageRequest {
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    StageRequest { access: AccessType::Mount { fs: Some(fs), options }, ..ask() }
}

fn formatted(fs: FsType, uuid: Uuid, size_bytes: u64) -> Content {
    Content::Formatted(Formatted { fs, id: FsId::Uuid(uuid), size_bytes, clean: true })
}

fn plan(content: &Content, fs: Option<FsType>) -> Result<StagePlan, StageError> {
    decide(content, &device(), &ask(), fs)
}

#[test]
fn only_a_blank_disk_that_may_be_written_to_is_formatted() {
    let blank = plan(&Content::Blank, Some(FsType::Xfs)).unwrap();
    assert_eq!(blank, StagePlan { fs: FsType::Xfs, format: true, check: None, new_uuid: false, grow: false });
    assert_eq!(plan(&Content::Blank, None).unwrap().fs, FsType::Ext4);
    let reader = StageRequest { read_only: true, ..ask() };
    let refused = decide(&Content::Blank, &device(), &reader, None);
    assert!(matches!(refused, Err(StageError::BlankReadOnly { .. })));
    for (content, words) in [
        (Content::Foreign(Foreign { what: "a ZFS label".into(), at: 512 }), "a ZFS label at byte 512"),
        (Content::Luks2, "a LUKS 2 header at byte 0"),
        (Content::Begun(Uuid::nil()), "a LUKS 2 header that was begun at byte 0"),
    ] {
        let error = plan(&content, None).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_file_system_is_mounted_if_it_is_the_asked_one_and_no_other_volumes() {
    let ours = formatted(FsType::Ext4, fsid::filesystem_uuid(&volume(VOLUME)), 20 << 30);
    assert_eq!(
        plan(&ours, Some(FsType::Ext4)).unwrap(),
        StagePlan { fs: FsType::Ext4, format: false, check: None, new_uuid: false, grow: false }
    );
    assert!(matches!(plan(&ours, Some(FsType::Xfs)), Err(StageError::OtherFileSystem { .. })));
    let others = formatted(FsType::Ext4, fsid::filesystem_uuid(&volume("cd-b")), 20 << 30);
    assert!(matches!(plan(&others, None), Err(StageError::OtherVolume { .. })));
    // Adopted: somebody else made it, and nobody said which it should be.
    let adopted = formatted(FsType::Xfs, Uuid::from_u128(5), 10 << 30);
    let plan = plan(&adopted, None).unwrap();
    assert!(plan.fs == FsType::Xfs && !plan.format && plan.grow);
}

#[test]
fn a_file_system_that_asks_for_a_check_gets_what_the_class_says() {
    let id = FsId::Uuid(fsid::filesystem_uuid(&volume(VOLUME)));
    let unclean = Formatted { fs: FsType::Ext4, id, size_bytes: 20 << 30, clean: false };
    for (fsck, check) in
        [(Fsck::Repair, Some(Check::Repair)), (Fsck::Check, Some(Check::ReadOnly)), (Fsck::None, None)]
    {
        let request = StageRequest { options: VolumeOptions { fsck, ..VolumeOptions::default() }, ..ask() };
        let checks = |clean, request: &StageRequest| {
            decide(&Content::Formatted(Formatted { clean, ..unclean }), &device(), request, None)
                .unwrap()
                .check
        };
        assert_eq!(checks(false, &request), check);
        assert_eq!(checks(true, &request), None, "a clean one mounts at once");
        assert_eq!(checks(false, &StageRequest { read_only: true, ..request }), None);
    }
}

#[test]
fn a_copy_has_its_sources_uuid_gets_its_own_and_is_never_formatted() {
    let copy = || StageRequest { source: Some("snap-1".into()), ..ask() };
    let decide = |content: &Content, request: &StageRequest| decide(content, &device(), request, None);
    let sources = |fs, uuid| formatted(fs, uuid, 10 << 30);
    for uuid in [fsid::filesystem_uuid(&volume("cd-source")), Uuid::from_u128(5)] {
        let plan = decide(&sources(FsType::Ext4, uuid), &copy()).unwrap();
        assert_eq!(
            plan,
            StagePlan {
                fs: FsType::Ext4,
                format: false,
                check: Some(Check::Repair),
                new_uuid: true,
                grow: true
            }
        );
        let reader = StageRequest { read_only: true, ..copy() };
        let plan = decide(&sources(FsType::Xfs, uuid), &reader).unwrap();
        assert!(!plan.new_uuid && plan.check.is_none(), "a disk that is only to be read is not written to");
    }
    let again = decide(&sources(FsType::Ext4, fsid::filesystem_uuid(&volume(VOLUME))), &copy()).unwrap();
    assert!(!again.new_uuid && again.check.is_none());
    assert!(matches!(decide(&Content::Blank, &copy()), Err(StageError::BlankCopy { .. })));
    let others = decide(&sources(FsType::Ext4, fsid::filesystem_uuid(&volume("cd-source"))), &ask());
    assert!(matches!(others, Err(StageError::OtherVolume { .. })));
}

#[test]
fn a_file_system_grows_if_it_lacks_more_of_its_disk_than_mkfs_leaves_out() {
    let own = fsid::filesystem_uuid(&volume(VOLUME));
    let grows = |fs, lacks| plan(&formatted(fs, own, device().size_bytes - lacks), None).unwrap().grow;
    assert!(!grows(FsType::Ext4, 0) && !grows(FsType::Ext4, SLACK) && grows(FsType::Ext4, SLACK + 1));
    assert!(!grows(FsType::Vfat, 10 << 30), "nothing grows a FAT");
}

#[test]
fn what_is_mounted_to_be_read_is_staged_for_whoever_only_reads() {
    let reader = StageRequest { read_only: true, ..ask() };
    for flag in ["ro", "rw"] {
        let line = format!("40 22 253:16 / /staging {flag} - ext4 /dev/vdb {flag}");
        assert!(is_staged(&MountTable::parse(line.as_bytes()), Some(&device()), &reader, None).unwrap());
    }
}

#[test]
fn what_is_mounted_at_the_staging_path_decides() {
    let table = |line: &str| MountTable::parse(line.as_bytes());
    let ours = table("40 22 253:16 / /staging rw - ext4 /dev/vdb rw");
    assert!(is_staged(&ours, Some(&device()), &ask(), Some(FsType::Ext4)).unwrap());
    assert!(!is_staged(&table(""), Some(&device()), &ask(), None).unwrap());
    let differently = is_staged(&ours, Some(&device()), &ask(), Some(FsType::Xfs));
    assert!(matches!(differently, Err(StageError::Incompatible { .. })));
    let read_only = table("40 22 253:16 / /staging ro - ext4 /dev/vdb ro");
    assert!(matches!(
        is_staged(&read_only, Some(&device()), &ask(), None),
        Err(StageError::Incompatible { .. })
    ));
    let other = table("40 22 253:32 / /staging rw - ext4 /dev/vdc rw");
    assert!(matches!(is_staged(&other, Some(&device()), &ask(), None), Err(StageError::PathOccupied { .. })));
    let closed = is_staged(&ours, None, &ask(), None);
    assert!(matches!(closed, Err(StageError::PathOccupied { .. })), "in the clear, and to be encrypted");
}
