use super::*;
use crate::host::fake::{Call, Mounted, State};
use crate::host::{DeviceError, FsError};

/// Another disk comes to stand under the name.
fn swap(state: &mut State) -> Result<(), HostError> {
    state.disks[0].device.diskseq = Some(8);
    Ok(())
}

fn io_error() -> HostError {
    MountError::Io { what: "mount vdb".into(), source: io::ErrorKind::Other.into() }.into()
}

fn other_disk() -> Mounted {
    Mounted { device: (253, 32), target: "/staging".into(), fs: "ext4".into(), read_only: false }
}

fn is_changed(result: &Result<StageResult, StageError>) -> bool {
    matches!(result, Err(StageError::Host(HostError::Device(DeviceError::Changed { .. }))))
}

#[test]
fn a_disk_that_the_kernel_only_reads_is_staged_for_readers_only() {
    let machine = machine(own(FsType::Ext4));
    machine.state().disks[0].device.read_only = true;
    assert!(matches!(stage_now(&machine, &ask()), Err(StageError::ReadOnlyDevice { .. })));
    assert!(machine.acts().is_empty());
    let reader = StageRequest { read_only: true, ..ask() };
    assert_eq!(stage_now(&machine, &reader).unwrap(), StageResult::Mounted);
}

#[test]
fn where_another_disk_is_mounted_nothing_is_done() {
    let machine = machine(Content::Blank);
    machine.state().mounts.push(other_disk());
    let error = stage_now(&machine, &ask()).unwrap_err();
    assert_eq!(error.to_string(), "/staging is taken: ext4 of device 253:32 is mounted there");
    assert!(machine.acts().is_empty());
}

#[test]
fn a_blank_disk_is_not_formatted_as_what_the_kernel_cannot_mount() {
    let machine = machine(Content::Blank);
    machine.state().unsupported.push(FsType::Xfs);
    let refused = stage_now(&machine, &ask_for(FsType::Xfs, &[]));
    assert!(matches!(
        refused,
        Err(StageError::Host(HostError::Mount(MountError::NoFileSystem { fs: FsType::Xfs })))
    ));
    assert!(machine.acts().is_empty());
}

#[test]
fn data_that_appears_after_the_look_is_not_formatted() {
    let machine = machine(Content::Blank);
    machine.when(Call::Format, 1, |state| {
        state.disks[0].content = own(FsType::Xfs);
        Ok(())
    });
    let refused = stage_now(&machine, &ask());
    assert!(matches!(refused, Err(StageError::Host(HostError::Fs(FsError::NotBlank { .. })))));
    assert!(machine.formats().is_empty() && machine.state().mounts.is_empty());
}

#[test]
fn a_disk_that_is_another_one_since_the_look_is_not_mounted() {
    let machine = machine(own(FsType::Ext4));
    machine.when(Call::Recheck, 1, swap);
    assert!(is_changed(&stage_now(&machine, &ask())));
    assert_eq!(machine.acts(), ["make the directory /staging"]);
}

#[test]
fn a_disk_that_is_another_one_since_the_mount_does_not_stay_mounted() {
    let machine = machine(own(FsType::Ext4));
    machine.when(Call::Recheck, 2, swap);
    assert!(is_changed(&stage_now(&machine, &ask())));
    assert_eq!(machine.acts().last().unwrap(), "unmount /staging");
}

#[test]
fn a_mount_that_is_not_seen_is_a_failure() {
    let machine = machine(own(FsType::Ext4));
    machine.when(Call::Mounts, 2, |state| {
        state.mounts.clear();
        Ok(())
    });
    let error = stage_now(&machine, &ask()).unwrap_err();
    assert_eq!(error.to_string(), "/staging is taken: nothing of this volume is mounted there");
    assert_eq!(machine.acts().last().unwrap(), "unmount /staging");
}

#[test]
fn a_mount_that_shows_another_disk_does_not_stay() {
    let machine = machine(own(FsType::Ext4));
    machine.when(Call::Mounts, 2, |state| {
        state.mounts.push(other_disk());
        Ok(())
    });
    assert!(matches!(stage_now(&machine, &ask()), Err(StageError::PathOccupied { .. })));
    assert!(machine.state().mounts.is_empty());
}

#[test]
fn a_file_system_that_does_not_grow_does_not_stay_mounted() {
    let half = formatted(FsType::Ext4, fsid::filesystem_uuid(&volume(VOLUME)), 10 << 30);
    let machine = machine(half);
    machine.when(Call::Grow, 1, |_| Err(io_error()));
    assert!(stage_now(&machine, &ask()).is_err());
    assert!(machine.state().mounts.is_empty());
}

#[test]
fn of_two_failures_the_first_is_told() {
    let machine = machine(own(FsType::Ext4));
    machine.when(Call::Recheck, 2, swap);
    machine.when(Call::Unmount, 1, |_| Err(MountError::Busy { path: "/staging".into() }.into()));
    assert!(is_changed(&stage_now(&machine, &ask())));
}

#[test]
fn what_its_check_refuses_is_not_mounted() {
    let machine = machine(unclean(own(FsType::Ext4)));
    machine.when(Call::Check, 1, |_| {
        let (device, report) = ("vdb".to_owned(), "bad".to_owned());
        Err(FsError::Damaged { device, fs: FsType::Ext4, report }.into())
    });
    let refused = stage_now(&machine, &ask());
    assert!(matches!(refused, Err(StageError::Host(HostError::Fs(FsError::Damaged { .. })))));
    assert_eq!(machine.acts(), ["make the directory /staging"]);
}

#[test]
fn a_mount_that_fails_can_be_asked_for_again() {
    let machine = machine(Content::Blank);
    machine.when(Call::Mount, 1, |_| Err(io_error()));
    assert!(stage_now(&machine, &ask()).is_err());
    assert_eq!(stage_now(&machine, &ask()).unwrap(), StageResult::Mounted, "it is formatted once");
    assert_eq!(machine.formats().len(), 1);
}
