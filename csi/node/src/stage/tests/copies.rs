use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

fn copy() -> StageRequest {
    StageRequest { source: Some("snap-1".into()), ..ask() }
}

/// A copy of what was mounted when it was copied.
fn copied(fs: FsType) -> Content {
    unclean(formatted(fs, fsid::filesystem_uuid(&volume("cd-source")), 20 << 30))
}

/// Counts warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Stages it; gives how often that warned.
fn warnings(machine: &FakeMachine, request: &StageRequest) -> usize {
    let warnings = Warnings::default();
    let staged = tracing::subscriber::with_default(warnings.clone(), || stage_now(machine, request));
    assert_eq!(staged.unwrap(), StageResult::Mounted);
    warnings.0.load(Ordering::SeqCst)
}

#[test]
fn a_copy_is_checked_and_gets_its_own_uuid_before_it_is_mounted() {
    let machine = machine(copied(FsType::Ext4));
    assert_eq!(stage_now(&machine, &copy()).unwrap(), StageResult::Mounted);
    assert_eq!(
        machine.acts(),
        [
            "make the directory /staging",
            "check vdb as ext4: Repair",
            "set the UUID of vdb",
            "mount vdb as ext4 at /staging (rw)"
        ]
    );
    assert_eq!(machine.state().disks[0].content, own(FsType::Ext4));
}

#[test]
fn the_log_of_an_xfs_copy_is_replayed_before_it_gets_its_own_uuid() {
    let machine = machine(copied(FsType::Xfs));
    assert_eq!(stage_now(&machine, &copy()).unwrap(), StageResult::Mounted);
    assert_eq!(
        machine.acts(),
        [
            "make the directory /staging",
            "check vdb as xfs: Repair",
            "mount vdb as xfs at /staging (rw,nouuid)",
            "unmount /staging",
            "set the UUID of vdb",
            "mount vdb as xfs at /staging (rw,nouuid)"
        ]
    );
    assert_eq!(machine.state().disks[0].content, own(FsType::Xfs));
}

#[test]
fn a_copy_that_another_mount_namespace_holds_is_neither_checked_nor_given_a_uuid() {
    let machine = FakeMachine::new([Disk { held: true, ..Disk::new(copied(FsType::Ext4)) }]);
    stage_now(&machine, &copy()).unwrap();
    assert_eq!(machine.acts()[1..], ["mount vdb as ext4 at /staging (rw)"]);
}

#[test]
fn a_copy_that_is_only_to_be_read_is_not_written_to() {
    let machine = machine(copied(FsType::Xfs));
    stage_now(&machine, &StageRequest { read_only: true, ..copy() }).unwrap();
    assert_eq!(machine.acts()[1..], ["mount vdb as xfs at /staging (ro,nouuid)"]);
    assert_eq!(machine.state().disks[0].content, copied(FsType::Xfs));
}

#[test]
fn a_copy_with_its_own_uuid_is_mounted_as_it_is() {
    let machine = machine(own(FsType::Ext4));
    stage_now(&machine, &copy()).unwrap();
    assert_eq!(machine.acts()[1..], ["mount vdb as ext4 at /staging (rw)"]);
}

#[test]
fn a_copy_of_a_fat_has_no_uuid_to_change() {
    let fat = Formatted { fs: FsType::Vfat, id: FsId::Fat(7), size_bytes: 20 << 30, clean: true };
    let machine = machine(Content::Formatted(fat));
    stage_now(&machine, &copy()).unwrap();
    assert_eq!(machine.acts()[1..], ["mount vdb as vfat at /staging (rw)"]);
}

#[test]
fn a_blank_copy_is_never_formatted() {
    let machine = machine(Content::Blank);
    assert!(matches!(stage_now(&machine, &copy()), Err(StageError::BlankCopy { .. })));
    assert!(machine.acts().is_empty());
}

#[test]
fn that_a_copy_keeps_its_sources_uuid_is_told_and_stops_nothing() {
    let keeps = FakeMachine::new([Disk { keeps_uuid: true, ..Disk::new(copied(FsType::Ext4)) }]);
    assert_eq!(warnings(&keeps, &copy()), 1);
    assert_eq!(warnings(&machine(copied(FsType::Ext4)), &copy()), 0);
}
