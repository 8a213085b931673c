//! Every call may be repeated; a repeated call with other arguments is refused.

use std::path::Path;

use sanity_tests::kubelet::VolumeUse;
use tonic::Code;

use super::fixture::Fixture;
use super::rig::{assert_refused, run};

fn ext4() -> VolumeUse {
    VolumeUse::mount("ext4")
}

/// A volume that is staged, with a target that the kernel's mount table and every tool must quote.
async fn staged() -> Fixture {
    let mut fixture = Fixture::staged(ext4()).await;
    fixture.target = fixture.rig.path("盘 pod with spaces");
    fixture
}

async fn published() -> Fixture {
    let fixture = staged().await;
    fixture.publish(&ext4()).await;
    fixture
}

/// How many mounts there are in the kubelet's folder.
fn count_mounts(fixture: &Fixture) -> usize {
    let folder = fixture.rig.path("");
    let table = run("findmnt", &["-n", "-r", "-o", "TARGET"]);
    table.lines().filter(|line| Path::new(line).starts_with(&folder)).count()
}

#[tokio::test]
async fn staging_twice_mounts_once() {
    let fixture = staged().await;
    fixture.kubelet.stage(&fixture.volume, &fixture.staging, &ext4()).await.unwrap();
    assert_eq!(count_mounts(&fixture), 1);
    fixture.finish().await;
}

#[tokio::test]
async fn publishing_twice_mounts_once() {
    let fixture = published().await;
    fixture.publish(&ext4()).await;
    // At the staging path and at the target.
    assert_eq!(count_mounts(&fixture), 2);
    fixture.finish().await;
}

#[tokio::test]
async fn unpublishing_removes_the_target_and_succeeds_twice() {
    let fixture = published().await;
    for _ in 0..2 {
        fixture.kubelet.unpublish(&fixture.volume, &fixture.target).await.unwrap();
        assert!(!fixture.target.exists());
    }
    fixture.finish().await;
}

#[tokio::test]
async fn unstaging_twice_succeeds() {
    let fixture = staged().await;
    for _ in 0..2 {
        fixture.kubelet.unstage(&fixture.volume, &fixture.staging).await.unwrap();
    }
    fixture.finish().await;
}

#[tokio::test]
async fn a_staged_volume_is_not_staged_with_another_file_system() {
    let fixture = staged().await;
    let staged = fixture.kubelet.stage(&fixture.volume, &fixture.staging, &VolumeUse::mount("xfs")).await;
    assert_refused(staged, Code::AlreadyExists, "as ext4");
    fixture.finish().await;
}

#[tokio::test]
async fn a_published_volume_is_not_published_read_only_at_the_same_target() {
    let fixture = published().await;
    let Fixture { kubelet, volume, staging, target, .. } = &fixture;
    let read_only = VolumeUse { read_only: true, ..ext4() };
    let published = kubelet.publish(volume, staging, target, &read_only).await;
    assert_refused(published, Code::AlreadyExists, "must be unpublished first");
    fixture.finish().await;
}

#[tokio::test]
async fn statistics_have_bytes_and_inodes() {
    let fixture = published().await;
    let usage = fixture.kubelet.stats(&fixture.volume, &fixture.target).await.unwrap();
    assert_eq!(usage.len(), 2);
    assert!(usage[0].total > 19 << 30 && usage[0].available > 0 && usage[1].total > 0, "{usage:?}");
    fixture.finish().await;
}
