//! Block volumes: a pod gets the device itself.

use std::path::{Path, PathBuf};

use sanity_tests::kubelet::{Volume, VolumeUse};
use sanity_tests::sidecar::Reply;
use tonic::Code;

use super::fixture::Fixture;
use super::rig::{Rig, assert_refused, run};

#[tokio::test]
async fn publishing_a_block_volume_twice_succeeds() {
    let fixture = Fixture::published(VolumeUse::block()).await;
    fixture.publish(&VolumeUse::block()).await;
    fixture.finish().await;
}

/// A published block volume whose disk the cloud has expanded to 25 GiB.
async fn expanded() -> Fixture {
    let fixture = Fixture::published(VolumeUse::block()).await;
    assert_eq!(fixture.rig.expand(&fixture.volume, 25).await, Reply::Expanded { bytes: 25 << 30 });
    fixture
}

#[tokio::test]
async fn the_expansion_of_a_block_volume_returns_its_new_size() {
    let fixture = expanded().await;
    let bytes = fixture.kubelet.expand(&fixture.volume, &fixture.target, 25 << 30).await.unwrap();
    assert_eq!(bytes, 25 << 30);
    fixture.finish().await;
}

#[tokio::test]
async fn the_statistics_of_a_block_volume_have_its_new_size() {
    let fixture = expanded().await;
    fixture.kubelet.expand(&fixture.volume, &fixture.target, 25 << 30).await.unwrap();
    assert_eq!(fixture.total_bytes().await, 25 << 30);
    fixture.finish().await;
}

/// Size of the data, in MiB.
const DATA_MIB: usize = 8;

fn checksum(device: &Path) -> String {
    let bytes = DATA_MIB << 20;
    run("sh", &["-c", &format!("head -c {bytes} {} | sha256sum", device.display())])
}

/// A block volume that was written and expanded on the first of two nodes, and is attached to the second one.
struct Moved {
    rig: Rig,
    volume: Volume,
    staging: PathBuf,
    target: PathBuf,
    checksum: String,
}

impl Moved {
    async fn new() -> Self {
        let rig = Rig::start(2).await;
        let (kubelet, mut volume) = (rig.kubelet(0), rig.volume("pvc-block", 0).await);
        let (staging, target) = (rig.path("staging"), rig.path("device"));
        kubelet.stage(&volume, &staging, &VolumeUse::block()).await.unwrap();
        kubelet.publish(&volume, &staging, &target, &VolumeUse::block()).await.unwrap();
        let (file, count) = (format!("of={}", target.display()), format!("count={DATA_MIB}"));
        run("dd", &["if=/dev/urandom", &file, "bs=1M", &count, "conv=fsync,notrunc"]);
        let checksum = checksum(&target);
        rig.expand(&volume, 25).await;
        kubelet.expand(&volume, &target, 25 << 30).await.unwrap();
        kubelet.unpublish(&volume, &target).await.unwrap();
        kubelet.unstage(&volume, &staging).await.unwrap();
        rig.detach(&volume, 0).await;
        rig.attach(&mut volume, 1).await;
        Self { rig, volume, staging, target, checksum }
    }

    async fn finish(self) {
        let kubelet = self.rig.kubelet(1);
        kubelet.unpublish(&self.volume, &self.target).await.unwrap();
        kubelet.unstage(&self.volume, &self.staging).await.unwrap();
        self.rig.detach(&self.volume, 1).await;
        self.rig.finish().await;
    }
}

#[tokio::test]
async fn a_block_volume_keeps_every_byte_when_it_is_expanded_and_moved() {
    let moved = Moved::new().await;
    let kubelet = moved.rig.kubelet(1);
    kubelet.stage(&moved.volume, &moved.staging, &VolumeUse::block()).await.unwrap();
    kubelet.publish(&moved.volume, &moved.staging, &moved.target, &VolumeUse::block()).await.unwrap();
    assert_eq!(checksum(&moved.target), moved.checksum);
    moved.finish().await;
}

/// Only a blank disk would be formatted.
#[tokio::test]
async fn a_block_volume_with_data_is_not_staged_as_a_file_system() {
    let moved = Moved::new().await;
    let staged = moved.rig.kubelet(1).stage(&moved.volume, &moved.staging, &VolumeUse::mount("ext4")).await;
    assert_refused(staged, Code::FailedPrecondition, "neither formatted nor mounted");
    moved.finish().await;
}
