//! Restored and cloned disks: they carry their source's file system, UUID and all, next to the source on one node.

use std::path::Path;

use sanity_tests::kubelet::{Volume, VolumeUse};
use sanity_tests::sidecar::Request;
use tonic::Code;

use super::rig::{Rig, refused, run};

/// Puts what one disk holds on another one, as a snapshot of a running machine does: with the journal as it is.
fn copy(rig: &Rig, from: &Volume, to: &Volume) {
    let image = |volume: &Volume| {
        let name = rig.device(volume, 0).trim_start_matches("/dev/").to_owned();
        std::fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).unwrap().trim().to_owned()
    };
    let size = std::fs::metadata(image(to)).unwrap().len().to_string();
    run("cp", &["--sparse=always", &image(from), &image(to)]);
    run("truncate", &["-s", &size, &image(to)]);
    run("blockdev", &["--flushbufs", &rig.device(to, 0)]);
}

fn uuid(device: &str) -> String {
    run("blkid", &["-p", "-s", "UUID", "-o", "value", device])
}

fn made_from(volume: &Volume, source: &str) -> Volume {
    let mut volume = volume.clone();
    volume.context.insert("eck.csi.k8s.io/content-source".into(), source.into());
    volume
}

/// The kernel wants `CAP_SYS_RESOURCE` (include/uapi/linux/capability.h) of who grows a mounted ext file system; root lacks it
/// on some test machines.
fn grows(fs: &str) -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    fs == "xfs" || u64::from_str_radix(bits.trim(), 16).unwrap() >> CAP_SYS_RESOURCE & 1 == 1
}

async fn beside_its_source(fs: &str) {
    let rig = Rig::start(1).await;
    let (kubelet, wanted) = (rig.kubelet(0), VolumeUse::mount(fs));
    let (source, mut plain) = (rig.volume("pvc-source", 0).await, rig.volume("pvc-copy", 0).await);
    let (at, beside) = (rig.path("source"), rig.path("copy"));
    kubelet.stage(&source, &at, &wanted).await.unwrap();
    std::fs::write(at.join("file"), "precious").unwrap();
    let gib = if grows(fs) { 30 } else { 20 };
    rig.detach(&plain, 0).await;
    rig.call(Request::Expand { volume: plain.id.clone(), gib }).await.unwrap();
    rig.attach(&mut plain, 0).await;
    run("sync", &["-f", at.to_str().unwrap()]);
    copy(&rig, &source, &plain);
    let before = uuid(&rig.device(&source, 0));
    assert_eq!(uuid(&rig.device(&plain, 0)), before, "the copy was to have its source's UUID");

    // Without the controller's word it is another volume's file system.
    refused(
        kubelet.stage(&plain, &beside, &wanted).await,
        Code::FailedPrecondition,
        "made for another volume",
    );
    let restored = made_from(&plain, &source.id);
    let other = if fs == "xfs" { "ext4" } else { "xfs" };
    refused(kubelet.stage(&restored, &beside, &VolumeUse::mount(other)).await, Code::FailedPrecondition, fs);
    kubelet.stage(&restored, &beside, &wanted).await.unwrap();
    assert_eq!(std::fs::read_to_string(beside.join("file")).unwrap(), "precious");
    std::fs::write(beside.join("file"), "the copy's").unwrap();
    assert_eq!(std::fs::read_to_string(at.join("file")).unwrap(), "precious");
    assert_eq!(uuid(&rig.device(&source, 0)), before);
    assert_ne!(uuid(&rig.device(&plain, 0)), before, "the copy was to get a UUID of its own");
    let bytes = kubelet.stats(&restored, &beside).await.unwrap()[0].total;
    assert!(bytes > (gib as i64 - 1) << 30, "the copy's file system was to fill its larger disk: {bytes}");

    // Now it is this volume's own, whatever the context says.
    kubelet.unstage(&restored, &beside).await.unwrap();
    check(fs, &rig.device(&plain, 0));
    kubelet.stage(&plain, &beside, &wanted).await.unwrap();
    assert_eq!(std::fs::read_to_string(beside.join("file")).unwrap(), "the copy's");
    kubelet.unstage(&plain, &beside).await.unwrap();
    kubelet.unstage(&source, &at).await.unwrap();
    rig.end().await;
}

/// The file system's own tool finds nothing wrong.
fn check(fs: &str, device: &str) {
    match fs {
        "xfs" => run("xfs_repair", &["-n", device]),
        _ => run("e2fsck", &["-f", "-n", device]),
    };
}

#[tokio::test]
async fn an_ext4_copy_mounts_beside_its_source_and_grows() {
    beside_its_source("ext4").await;
}

#[tokio::test]
async fn an_ext3_copy_mounts_beside_its_source_and_grows() {
    beside_its_source("ext3").await;
}

#[tokio::test]
async fn an_xfs_copy_mounts_beside_its_source_and_grows() {
    beside_its_source("xfs").await;
}

#[tokio::test]
async fn a_blank_copy_is_not_formatted_and_a_read_only_one_is_not_written_to() {
    let rig = Rig::start(1).await;
    let (kubelet, wanted) = (rig.kubelet(0), VolumeUse::mount("xfs"));
    let (source, plain) = (rig.volume("pvc-source", 0).await, rig.volume("pvc-copy", 0).await);
    let (at, beside) = (rig.path("source"), rig.path("copy"));
    let restored = made_from(&plain, "snap-1");
    let text = refused(kubelet.stage(&restored, &beside, &wanted).await, Code::FailedPrecondition, "snap-1");
    assert!(text.contains("not formatted"), "{text}");
    assert!(!Path::new(&beside).exists());
    kubelet.stage(&source, &at, &wanted).await.unwrap();
    std::fs::write(at.join("file"), "precious").unwrap();
    kubelet.unstage(&source, &at).await.unwrap();
    copy(&rig, &source, &plain);
    kubelet.stage(&source, &at, &wanted).await.unwrap();
    let reader = VolumeUse { mode: 2, ..wanted.clone() };
    kubelet.stage(&restored, &beside, &reader).await.unwrap();
    assert_eq!(std::fs::read_to_string(beside.join("file")).unwrap(), "precious");
    kubelet.unstage(&restored, &beside).await.unwrap();
    assert_eq!(uuid(&rig.device(&plain, 0)), uuid(&rig.device(&source, 0)), "a reader's disk was written to");
    kubelet.unstage(&source, &at).await.unwrap();
    rig.end().await;
}
