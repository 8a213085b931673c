//! No symlink is followed, and nothing that holds data is removed.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use sanity_tests::kubelet::VolumeUse;
use tonic::Code::{FailedPrecondition, InvalidArgument};

use super::fixture::Fixture;
use super::rig::assert_refused;

/// A folder, and a symlink to it.
fn folder_and_link(fixture: &Fixture) -> (PathBuf, PathBuf) {
    let (folder, link) = (fixture.rig.path("real"), fixture.rig.path("link"));
    std::fs::create_dir(&folder).unwrap();
    symlink(&folder, &link).unwrap();
    (folder, link)
}

async fn attached() -> Fixture {
    Fixture::attached(VolumeUse::mount("ext4")).await
}

async fn staged() -> Fixture {
    Fixture::staged(VolumeUse::mount("ext4")).await
}

#[tokio::test]
async fn a_staging_path_that_is_a_symlink_is_refused() {
    let fixture = attached().await;
    let (_, link) = folder_and_link(&fixture);
    let staged = fixture.kubelet.stage(&fixture.volume, &link, &fixture.volume_use).await;
    assert_refused(staged, InvalidArgument, "symlink");
    fixture.finish().await;
}

#[tokio::test]
async fn a_staging_path_below_a_symlink_is_refused() {
    let fixture = attached().await;
    let (_, link) = folder_and_link(&fixture);
    let staged = fixture.kubelet.stage(&fixture.volume, &link.join("below"), &fixture.volume_use).await;
    assert_refused(staged, InvalidArgument, "symlink");
    fixture.finish().await;
}

#[tokio::test]
async fn a_target_that_is_a_symlink_is_not_published() {
    let fixture = staged().await;
    let (_, link) = folder_and_link(&fixture);
    let published =
        fixture.kubelet.publish(&fixture.volume, &fixture.staging, &link, &fixture.volume_use).await;
    assert_refused(published, InvalidArgument, "symlink");
    fixture.finish().await;
}

#[tokio::test]
async fn a_target_that_is_a_symlink_is_not_unpublished() {
    let fixture = staged().await;
    let (_, link) = folder_and_link(&fixture);
    assert_refused(fixture.kubelet.unpublish(&fixture.volume, &link).await, InvalidArgument, "symlink");
    assert!(link.symlink_metadata().unwrap().is_symlink());
    fixture.finish().await;
}

#[tokio::test]
async fn a_target_with_data_is_not_removed() {
    let fixture = staged().await;
    let (folder, _) = folder_and_link(&fixture);
    std::fs::write(folder.join("data"), "precious").unwrap();
    assert_refused(
        fixture.kubelet.unpublish(&fixture.volume, &folder).await,
        FailedPrecondition,
        "not removed",
    );
    assert_eq!(std::fs::read_to_string(folder.join("data")).unwrap(), "precious");
    fixture.finish().await;
}

#[tokio::test]
async fn a_staging_path_with_a_name_of_128_bytes_is_accepted() {
    let mut fixture = attached().await;
    fixture.staging = fixture.rig.path(&"x".repeat(128));
    fixture.kubelet.stage(&fixture.volume, &fixture.staging, &fixture.volume_use).await.unwrap();
    fixture.finish().await;
}
