//! Several pods of one node use a volume, as its access mode and their own read-only flags allow.

use proto::csi::v1::volume_capability::access_mode::Mode;
use sanity_tests::kubelet::VolumeUse;
use tonic::Code;

use super::fixture::Fixture;
use super::rig::{assert_refused, run};

/// A volume that is published to one pod.
async fn published() -> Fixture {
    let mount_flags = vec!["noatime".into(), "nosuid,nodev".into()];
    Fixture::published(VolumeUse { mount_flags, ..VolumeUse::mount("xfs") }).await
}

/// Publishes the volume to a second pod, and returns its target.
async fn publish_second(fixture: &Fixture, volume_use: &VolumeUse) -> std::path::PathBuf {
    let target = fixture.rig.path("second");
    fixture.kubelet.publish(&fixture.volume, &fixture.staging, &target, volume_use).await.unwrap();
    target
}

async fn publish_reader(fixture: &Fixture) -> std::path::PathBuf {
    publish_second(fixture, &VolumeUse { read_only: true, ..fixture.volume_use.clone() }).await
}

async fn finish(fixture: Fixture, second: &std::path::Path) {
    fixture.kubelet.unpublish(&fixture.volume, second).await.unwrap();
    fixture.finish().await;
}

#[tokio::test]
async fn a_read_only_pod_reads_what_another_pod_has_written() {
    let fixture = published().await;
    let reader = publish_reader(&fixture).await;
    std::fs::write(fixture.target.join("file"), "shared").unwrap();
    assert_eq!(std::fs::read_to_string(reader.join("file")).unwrap(), "shared");
    finish(fixture, &reader).await;
}

#[tokio::test]
async fn a_read_only_pod_cannot_write() {
    let fixture = published().await;
    let reader = publish_reader(&fixture).await;
    std::fs::write(fixture.target.join("file"), "shared").unwrap();
    assert!(std::fs::write(reader.join("file"), "no").is_err(), "a read-only pod wrote");
    finish(fixture, &reader).await;
}

#[tokio::test]
async fn a_read_only_pod_has_the_mount_options_of_the_volume() {
    let fixture = published().await;
    let reader = publish_reader(&fixture).await;
    let options = run("findmnt", &["-n", "-o", "OPTIONS", reader.to_str().unwrap()]);
    for option in ["ro", "noatime", "nosuid", "nodev"] {
        assert!(options.split(',').any(|o| o == option), "{options} lacks {option}");
    }
    finish(fixture, &reader).await;
}

#[tokio::test]
async fn any_number_of_pods_write_with_single_node_multi_writer() {
    let fixture = published().await;
    let multi_writer = VolumeUse { mode: Mode::SingleNodeMultiWriter.into(), ..fixture.volume_use.clone() };
    let targets = [fixture.rig.path("more-1"), fixture.rig.path("more-2")];
    for target in &targets {
        fixture.kubelet.publish(&fixture.volume, &fixture.staging, target, &multi_writer).await.unwrap();
        std::fs::write(target.join("file"), "shared").unwrap();
    }
    for target in &targets {
        fixture.kubelet.unpublish(&fixture.volume, target).await.unwrap();
    }
    fixture.finish().await;
}

fn single_writer(fixture: &Fixture) -> VolumeUse {
    VolumeUse { mode: Mode::SingleNodeSingleWriter.into(), ..fixture.volume_use.clone() }
}

#[tokio::test]
async fn single_node_single_writer_is_refused_while_another_pod_has_the_volume() {
    let fixture = published().await;
    let (staging, second) = (&fixture.staging, fixture.rig.path("second"));
    let published =
        fixture.kubelet.publish(&fixture.volume, staging, &second, &single_writer(&fixture)).await;
    assert_refused(published, Code::FailedPrecondition, "SINGLE_NODE_SINGLE_WRITER");
    fixture.finish().await;
}

#[tokio::test]
async fn single_node_single_writer_is_published_when_no_other_pod_has_the_volume() {
    let fixture = published().await;
    fixture.kubelet.unpublish(&fixture.volume, &fixture.target).await.unwrap();
    let second = publish_second(&fixture, &single_writer(&fixture)).await;
    finish(fixture, &second).await;
}
