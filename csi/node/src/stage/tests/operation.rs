use super::*;
use std::time::{Duration, SystemTime};

use eck_csi::volume::NodeId;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::driver::Settings;
use crate::finding::Severity;
use crate::host::{DeviceError, FsError};
use crate::metrics::Decisions;

/// A node, and where it keeps what outlives it.
fn node(machine: FakeMachine) -> (Arc<Driver<FakeMachine>>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        node_id: NodeId::parse("fj-xiamen-4.172.16.0.6".into()).unwrap(),
        device_patience: Duration::ZERO,
        reserved_disks: 0,
        state_dir: folder.path().to_owned(),
    };
    (Arc::new(Driver::new(machine, settings, Decisions::default())), folder)
}

fn counted(driver: &Driver<FakeMachine>) -> String {
    let (mut registry, mut text) = (Registry::default(), String::new());
    driver.decisions.register(&mut registry);
    encode(&mut text, &registry).unwrap();
    text
}

fn trims(driver: &Driver<FakeMachine>) -> usize {
    driver.trims.due(SystemTime::now() + Duration::from_secs(14 * 24 * 3600)).unwrap().len()
}

fn discard(discard: Discard) -> StageRequest {
    StageRequest { options: VolumeOptions { discard, ..VolumeOptions::default() }, ..ask() }
}

#[test]
fn its_key_is_the_volume() {
    assert_eq!(Operation::<Driver<FakeMachine>>::key(&ask()), VOLUME);
}

#[test]
fn a_second_way_to_stage_is_refused_and_other_work_is_waited_for() {
    let on_conflict = <StageRequest as Operation<Driver<FakeMachine>>>::on_conflict;
    assert_eq!(on_conflict(true), OnConflict::Abort);
    assert_eq!(on_conflict(false), OnConflict::Wait);
}

#[tokio::test]
async fn what_was_staged_is_counted_and_remembered() {
    let (driver, _folder) = node(machine(Content::Blank));
    Arc::new(ask()).run(Arc::clone(&driver)).await.unwrap();
    assert_eq!(driver.host.state().mounts.len(), 1);
    assert!(counted(&driver).contains("eck_csi_stage_decisions_total{decision=\"formatted\"} 1"));
    assert_eq!(driver.history.outcome(&volume(VOLUME)), Some(StageOutcome::Mounted("/staging".into())));
}

#[tokio::test]
async fn a_failure_is_counted_and_remembered_and_trims_nothing() {
    let (driver, _folder) = node(machine(Content::Luks2));
    let failed = Arc::new(discard(Discard::Periodic)).run(Arc::clone(&driver)).await;
    assert!(matches!(failed, Err(StageError::Foreign { .. })));
    assert!(counted(&driver).contains("{decision=\"refused_data\"} 1"));
    assert_eq!(driver.history.outcome(&volume(VOLUME)), Some(StageOutcome::Failed(None)));
    assert_eq!(trims(&driver), 0);
}

#[tokio::test]
async fn a_volume_is_trimmed_every_week_from_its_staging_on() {
    let (driver, _folder) = node(machine(Content::Blank));
    Arc::new(discard(Discard::Periodic)).run(Arc::clone(&driver)).await.unwrap();
    assert_eq!(trims(&driver), 1);
}

#[test]
fn only_a_file_system_whose_class_wants_it_is_trimmed() {
    let (driver, _folder) = node(machine(Content::Blank));
    let block = StageRequest { access: AccessType::Block, ..discard(Discard::Periodic) };
    for other in [block, discard(Discard::Mount), discard(Discard::None)] {
        schedule_trims(&driver, &discard(Discard::Periodic)).unwrap();
        assert_eq!(trims(&driver), 1);
        schedule_trims(&driver, &other).unwrap();
        assert_eq!(trims(&driver), 0, "what it was before is over");
    }
}

#[test]
fn every_end_of_a_staging_has_its_word() {
    let device = || "vdb".to_owned();
    let (has, wants) = (FsType::Ext4, FsType::Xfs);
    let host = |error: HostError| Err(StageError::Host(error));
    let wrong_key = LuksError::WrongKey { device: device() };
    let in_use = LuksError::InUse { device: device() };
    let refused = "refused_data";
    for (staged, word) in [
        (Ok(StageResult::Already), "already"),
        (Ok(StageResult::Block), "block"),
        (Ok(StageResult::Mounted), "mounted"),
        (Ok(StageResult::Formatted), "formatted"),
        (Err(StageError::Foreign { device: device(), what: "data".into(), at: 0 }), refused),
        (Err(StageError::OtherFileSystem { device: device(), has, wants }), refused),
        (Err(StageError::NotEncrypted { device: device(), has }), refused),
        (Err(StageError::BlankCopy { device: device(), from: "snap-1".into() }), refused),
        (Err(StageError::OtherVolume { device: device() }), "refused_identity"),
        (host(wrong_key.into()), "refused_key"),
        (host(DeviceError::NotFound { serials: "x".into() }.into()), "refused_device"),
        (host(in_use.into()), "failed"),
        (host(FsError::InUse { device: device() }.into()), "failed"),
        (host(MountError::Busy { path: "/staging".into() }.into()), "failed"),
        (Err(StageError::ReadOnlyDevice { device: device() }), "failed"),
    ] {
        assert_eq!(decision(&staged), word, "{staged:?}");
    }
}

#[test]
fn health_remembers_where_it_is_mounted_or_what_was_wrong() {
    assert_eq!(outcome(&ask(), None), StageOutcome::Mounted("/staging".into()));
    let block = StageRequest { access: AccessType::Block, ..ask() };
    assert_eq!(outcome(&block, None), StageOutcome::Block);
    let (device, report) = ("vdb".to_owned(), "bad".to_owned());
    let damaged = StageError::from(HostError::from(FsError::Damaged { device, fs: FsType::Ext4, report }));
    let told = outcome(&block, Some(&damaged)).finding().unwrap();
    assert_eq!((told.severity, told.reason), (Severity::DataLoss, "FileSystemDamaged"));
}
