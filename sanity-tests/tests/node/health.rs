//! What the node reports of a volume's health, and of its storage, when something is really wrong.

use std::path::{Path, PathBuf};

use proto::csi::v1::StorageHealthErrorType as StorageError;
use proto::csi::v1::VolumeHealthErrorType as VolumeError;
use sanity_tests::kubelet::{Kubelet, Volume, VolumeUse};
use tonic::Code;

use super::fixture::Fixture;
use super::rig::{Rig, assert_refused, run};

/// A path that is left out of the request.
fn no_path() -> &'static Path {
    Path::new("")
}

/// Reasons and types of the findings, in the order of the reply.
async fn findings(fixture: &Fixture, published: &Path, staged: &Path) -> Vec<(String, VolumeError)> {
    let findings = fixture.kubelet.health(&fixture.volume, published, staged).await.unwrap();
    findings.into_iter().map(|f| (f.reason, VolumeError::try_from(f.status).unwrap())).collect()
}

fn finding(reason: &str, error: VolumeError) -> (String, VolumeError) {
    (reason.to_owned(), error)
}

fn ext4() -> VolumeUse {
    VolumeUse::mount("ext4")
}

fn unmount(path: &Path) {
    run("umount", &[path.to_str().unwrap()]);
}

#[tokio::test]
async fn an_attached_volume_that_is_not_staged_is_healthy() {
    let fixture = Fixture::attached(ext4()).await;
    assert_eq!(findings(&fixture, no_path(), no_path()).await, []);
    fixture.finish().await;
}

#[tokio::test]
async fn a_published_volume_is_healthy_whichever_paths_are_sent() {
    let fixture = Fixture::published(ext4()).await;
    for (published, staged) in
        [(&*fixture.target, &*fixture.staging), (no_path(), &*fixture.staging), (no_path(), no_path())]
    {
        assert_eq!(findings(&fixture, published, staged).await, [], "{published:?} {staged:?}");
    }
    fixture.finish().await;
}

#[tokio::test]
async fn a_volume_that_is_not_published_at_the_path_of_the_request_is_reported() {
    let fixture = Fixture::staged(ext4()).await;
    let unpublished = findings(&fixture, &fixture.target, &fixture.staging).await;
    assert_eq!(unpublished, [finding("MountMissing", VolumeError::Inaccessible)]);
    fixture.finish().await;
}

#[tokio::test]
async fn a_target_that_somebody_else_unmounted_is_reported() {
    let fixture = Fixture::published(ext4()).await;
    unmount(&fixture.target);
    let unmounted = findings(&fixture, &fixture.target, &fixture.staging).await;
    assert_eq!(unmounted, [finding("MountMissing", VolumeError::Inaccessible)]);
    fixture.finish().await;
}

/// A volume whose mounts somebody else has removed.
async fn unmounted() -> Fixture {
    let fixture = Fixture::published(ext4()).await;
    unmount(&fixture.target);
    unmount(&fixture.staging);
    fixture
}

#[tokio::test]
async fn a_staging_mount_that_somebody_else_removed_is_reported_without_its_path() {
    let fixture = unmounted().await;
    let unmounted = findings(&fixture, no_path(), no_path()).await;
    assert_eq!(unmounted, [finding("MountMissing", VolumeError::Inaccessible)]);
    fixture.finish().await;
}

#[tokio::test]
async fn a_volume_that_is_staged_again_is_healthy() {
    let fixture = unmounted().await;
    fixture.kubelet.stage(&fixture.volume, &fixture.staging, &ext4()).await.unwrap();
    assert_eq!(findings(&fixture, no_path(), &fixture.staging).await, []);
    fixture.finish().await;
}

#[tokio::test]
async fn a_disk_that_is_unplugged_is_reported() {
    let fixture = Fixture::staged(ext4()).await;
    fixture.rig.unplug_disk(&fixture.volume, 0);
    let unplugged = findings(&fixture, no_path(), &fixture.staging).await;
    assert_eq!(unplugged, [finding("DiskMissing", VolumeError::Inaccessible)]);
    fixture.rig.replug_disk(&fixture.volume, 0);
    fixture.finish().await;
}

#[tokio::test]
async fn a_disk_that_is_back_is_healthy() {
    let fixture = Fixture::staged(ext4()).await;
    fixture.rig.unplug_disk(&fixture.volume, 0);
    findings(&fixture, no_path(), &fixture.staging).await;
    fixture.rig.replug_disk(&fixture.volume, 0);
    assert_eq!(findings(&fixture, no_path(), &fixture.staging).await, []);
    fixture.finish().await;
}

/// A volume that was staged once, and is detached now.
async fn detached() -> Fixture {
    let fixture = Fixture::staged(ext4()).await;
    fixture.kubelet.unstage(&fixture.volume, &fixture.staging).await.unwrap();
    fixture.rig.detach(&fixture.volume, 0).await;
    fixture
}

#[tokio::test]
async fn a_detached_volume_is_not_found() {
    let fixture = detached().await;
    let health = fixture.kubelet.health(&fixture.volume, no_path(), no_path()).await;
    assert_refused(health, Code::NotFound, &fixture.volume.id);
    fixture.finish().await;
}

/// The path shows that the kubelet tries to stage it.
#[tokio::test]
async fn the_missing_disk_of_a_volume_with_a_staging_path_is_reported() {
    let fixture = detached().await;
    let missing = findings(&fixture, no_path(), &fixture.staging).await;
    assert_eq!(missing, [finding("DiskMissing", VolumeError::Inaccessible)]);
    fixture.finish().await;
}

#[tokio::test]
async fn an_invalid_health_request_is_refused_by_field() {
    let fixture = Fixture::attached(ext4()).await;
    let no_volume = Volume::default();
    let health = fixture.kubelet.health(&no_volume, no_path(), no_path()).await;
    assert_refused(health, Code::InvalidArgument, "volume_id");
    let health = fixture.kubelet.health(&fixture.volume, Path::new("a/b"), no_path()).await;
    assert_refused(health, Code::InvalidArgument, "volume_publish_path");
    fixture.finish().await;
}

#[tokio::test]
async fn the_storage_of_a_published_volume_is_healthy() {
    let fixture = Fixture::published(ext4()).await;
    assert!(fixture.kubelet.storage_health().await.unwrap().is_empty());
    fixture.finish().await;
}

#[tokio::test]
async fn the_storage_is_degraded_if_a_disk_does_not_answer() {
    let fixture = Fixture::staged(ext4()).await;
    fixture.rig.unplug_disk(&fixture.volume, 0);
    findings(&fixture, no_path(), &fixture.staging).await;
    let backend = fixture.kubelet.storage_health().await.unwrap();
    assert_eq!(backend.len(), 1);
    assert_eq!(
        (backend[0].status, &*backend[0].reason),
        (StorageError::StorageDegraded.into(), "SomeDisksDoNotAnswer")
    );
    fixture.rig.replug_disk(&fixture.volume, 0);
    fixture.finish().await;
}

/// Two staged block volumes, each with its staging path.
async fn two_volumes() -> (Rig, Kubelet, Vec<(Volume, PathBuf)>) {
    let rig = Rig::start(1).await;
    let kubelet = rig.kubelet(0);
    let mut volumes = Vec::new();
    for name in ["pvc-one", "pvc-two"] {
        let volume = rig.volume(name, 0).await;
        kubelet.stage(&volume, &rig.path(name), &VolumeUse::block()).await.unwrap();
        volumes.push((volume, rig.path(name)));
    }
    (rig, kubelet, volumes)
}

async fn replug_and_unstage(rig: &Rig, kubelet: &Kubelet, volumes: &[(Volume, PathBuf)]) {
    for (volume, staging) in volumes {
        rig.replug_disk(volume, 0);
        kubelet.unstage(volume, staging).await.unwrap();
    }
}

#[tokio::test]
async fn the_storage_is_healthy_while_every_disk_answers() {
    let (rig, kubelet, volumes) = two_volumes().await;
    assert!(kubelet.storage_health().await.unwrap().is_empty());
    for (volume, staging) in &volumes {
        kubelet.unstage(volume, staging).await.unwrap();
    }
    rig.finish().await;
}

#[tokio::test]
async fn the_storage_is_unreachable_if_no_disk_answers() {
    let (rig, kubelet, volumes) = two_volumes().await;
    volumes.iter().for_each(|(volume, _)| rig.unplug_disk(volume, 0));
    let backend = kubelet.storage_health().await.unwrap();
    assert_eq!(
        (backend[0].status, &*backend[0].reason),
        (StorageError::StorageUnreachable.into(), "NoDiskAnswers")
    );
    replug_and_unstage(&rig, &kubelet, &volumes).await;
    rig.finish().await;
}

#[tokio::test]
async fn the_storage_is_healthy_again_when_the_disks_are_back() {
    let (rig, kubelet, volumes) = two_volumes().await;
    volumes.iter().for_each(|(volume, _)| rig.unplug_disk(volume, 0));
    kubelet.storage_health().await.unwrap();
    replug_and_unstage(&rig, &kubelet, &volumes).await;
    assert!(kubelet.storage_health().await.unwrap().is_empty());
    rig.finish().await;
}

/// A volume whose ext4 the kernel has made read-only after an error.
async fn ext4_with_an_error() -> Fixture {
    let remount = VolumeUse { mount_flags: vec!["errors=remount-ro".into()], ..ext4() };
    let fixture = Fixture::staged(remount).await;
    let name = fixture.device().trim_start_matches("/dev/").to_owned();
    std::fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "a test").unwrap();
    assert!(std::fs::write(fixture.staging.join("file"), "x").is_err(), "the kernel should refuse writes");
    fixture
}

#[tokio::test]
async fn an_ext4_with_an_error_is_reported() {
    let fixture = ext4_with_an_error().await;
    let read_only = finding("FileSystemReadOnly", VolumeError::Degraded);
    let errors = finding("FileSystemErrors", VolumeError::Degraded);
    assert_eq!(findings(&fixture, no_path(), &fixture.staging).await, [read_only, errors]);
    fixture.finish().await;
}

/// Linux 6.15 and newer do not show `ro` for it.
#[tokio::test]
async fn an_ext4_that_the_kernel_made_read_only_does_not_count_as_staged() {
    let fixture = ext4_with_an_error().await;
    let staged = fixture.kubelet.stage(&fixture.volume, &fixture.staging, &fixture.volume_use).await;
    assert_refused(staged, Code::AlreadyExists, "read-only");
    fixture.finish().await;
}

#[tokio::test]
async fn an_ext4_that_was_checked_and_staged_again_is_healthy() {
    let fixture = ext4_with_an_error().await;
    fixture.kubelet.unstage(&fixture.volume, &fixture.staging).await.unwrap();
    fixture.kubelet.stage(&fixture.volume, &fixture.staging, &fixture.volume_use).await.unwrap();
    assert_eq!(findings(&fixture, no_path(), &fixture.staging).await, []);
    fixture.finish().await;
}

#[tokio::test]
async fn an_xfs_that_the_kernel_shut_down_is_reported() {
    let fixture = Fixture::staged(VolumeUse::mount("xfs")).await;
    run("xfs_io", &["-x", "-c", "shutdown", fixture.staging.to_str().unwrap()]);
    let failed = findings(&fixture, no_path(), &fixture.staging).await;
    assert_eq!(failed, [finding("FileSystemFailed", VolumeError::Inaccessible)]);
    fixture.finish().await;
}
