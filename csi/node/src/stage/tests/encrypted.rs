use super::*;
use crate::host::fake::{Call, Mounted, Vault};
use crate::host::{FsError, Header};
use crate::key::Key;
use crate::stage::request::Keys;

fn key() -> Key {
    Key::new(b"correct horse battery".to_vec())
}

fn encrypted() -> StageRequest {
    StageRequest { keys: Some(Keys { current: key(), previous: None }), ..ask() }
}

/// An encrypted disk of this volume that holds `content`.
fn vault(content: Content) -> FakeMachine {
    let header = Header { uuid: fsid::header_uuid(&volume(VOLUME)), fresh: vec![], room: true };
    let vault = Vault { header, keys: vec![key()], content, mapping: None };
    FakeMachine::new([Disk { vault: Some(vault), ..Disk::new(Content::Luks2) }])
}

#[test]
fn a_blank_disk_is_encrypted_formatted_and_marked_as_used_before_it_is_mounted() {
    let machine = machine(Content::Blank);
    assert_eq!(stage_now(&machine, &encrypted()).unwrap(), StageResult::Formatted);
    assert_eq!(
        machine.acts(),
        [
            "encrypt vdb",
            "open vdb",
            "blank dm-0",
            "make the directory /staging",
            "format dm-0 as ext4",
            "mark vdb as used",
            "copy the header of vdb",
            "mount dm-0 as ext4 at /staging (rw)"
        ]
    );
}

#[test]
fn of_what_was_just_encrypted_the_samples_must_be_blank() {
    let machine = machine(Content::Blank);
    stage_now(&machine, &StageRequest { provisioned: false, ..encrypted() }).unwrap();
    assert_eq!(machine.formats()[0].depth, Depth::Sampled, "the whole was looked at before");
}

#[test]
fn the_mapping_is_mounted_and_not_the_disk() {
    let machine = vault(own(FsType::Ext4));
    assert_eq!(stage_now(&machine, &encrypted()).unwrap(), StageResult::Mounted);
    assert_eq!(machine.acts().last().unwrap(), "mount dm-0 as ext4 at /staging (rw)");
    assert_eq!(stage_now(&machine, &encrypted()).unwrap(), StageResult::Already);
}

#[test]
fn a_volume_is_closed_again_when_its_staging_fails() {
    let machine = machine(Content::Blank);
    machine.when(Call::Format, 1, |_| Err(FsError::InUse { device: "dm-0".into() }.into()));
    assert!(stage_now(&machine, &encrypted()).is_err());
    assert_eq!(machine.acts().last().unwrap(), "close dm-0");
}

#[test]
fn a_volume_stays_open_when_its_staging_succeeds() {
    let machine = vault(own(FsType::Ext4));
    stage_now(&machine, &encrypted()).unwrap();
    assert!(!machine.acts().contains(&"close dm-0".to_owned()));
}

#[test]
fn a_closed_volume_is_not_what_is_mounted_at_its_path() {
    let machine = vault(own(FsType::Ext4));
    let disk = Mounted { device: (253, 16), target: "/staging".into(), fs: "ext4".into(), read_only: false };
    machine.state().mounts.push(disk);
    assert!(matches!(stage_now(&machine, &encrypted()), Err(StageError::PathOccupied { .. })));
    assert!(machine.acts().is_empty());
}

#[test]
fn the_wrong_key_opens_nothing() {
    let machine = vault(own(FsType::Ext4));
    machine.state().disks[0].vault.as_mut().unwrap().keys = vec![Key::new(b"another one".to_vec())];
    let refused = stage_now(&machine, &encrypted());
    assert!(matches!(refused, Err(StageError::Host(HostError::Luks(LuksError::WrongKey { .. })))));
    assert!(machine.acts().is_empty());
}
