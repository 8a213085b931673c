//! A volume that is in use is neither unmounted nor detached.

use std::io::Write as _;
use std::time::Duration;

use sanity_tests::kubelet::VolumeUse;
use sanity_tests::sidecar::Request;
use tonic::Code;

use super::fixture::Fixture;
use super::rig::assert_refused;

async fn published() -> Fixture {
    Fixture::published(VolumeUse::mount("ext4")).await
}

#[tokio::test]
async fn a_published_volume_is_not_unstaged() {
    let fixture = published().await;
    let unstaged = fixture.kubelet.unstage(&fixture.volume, &fixture.staging).await;
    let message = assert_refused(unstaged, Code::Unavailable, "still in use");
    assert!(message.contains("kubelet/pod"), "{message}");
    fixture.finish().await;
}

#[tokio::test]
async fn a_published_volume_is_not_detached() {
    let fixture = published().await;
    let (volume, node) = (fixture.volume.id.clone(), fixture.rig.stack.nodes[0].id.clone());
    let detach = Request::Unpublish { volume, node };
    let detached = fixture.rig.stack.sidecar().call_once(&detach, 0, Duration::from_secs(20)).await;
    assert_refused(detached, Code::Unavailable, "still uses it");
    fixture.finish().await;
}

#[tokio::test]
async fn an_unstaged_volume_is_detached() {
    let fixture = published().await;
    fixture.kubelet.unpublish(&fixture.volume, &fixture.target).await.unwrap();
    fixture.kubelet.unstage(&fixture.volume, &fixture.staging).await.unwrap();
    fixture.rig.detach(&fixture.volume, 0).await;
    fixture.finish().await;
}

#[tokio::test]
async fn a_target_with_an_open_file_is_not_unpublished() {
    let fixture = published().await;
    let mut file = std::fs::File::create(fixture.target.join("open")).unwrap();
    file.write_all(b"x").unwrap();
    let unpublished = fixture.kubelet.unpublish(&fixture.volume, &fixture.target).await;
    assert_refused(unpublished, Code::Unavailable, "in use");
    drop(file);
    fixture.finish().await;
}
