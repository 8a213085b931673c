//! Restored and cloned disks: they have their source's file system with its UUID, next to the source on one node.

use std::path::PathBuf;

use sanity_tests::kubelet::{Kubelet, Volume, VolumeUse};
use tonic::Code;

use super::rig::{Rig, assert_refused, run};

/// Copies a disk, as a snapshot of a running machine does: with the journal as it is.
fn copy_disk(rig: &Rig, from: &Volume, to: &Volume) {
    let (from, file) = (rig.backing_file(from, 0), rig.backing_file(to, 0));
    let (from, path) = (from.to_str().unwrap(), file.to_str().unwrap());
    let size = std::fs::metadata(&file).unwrap().len().to_string();
    run("cp", &["--sparse=always", from, path]);
    run("truncate", &["-s", &size, path]);
    run("blockdev", &["--flushbufs", &rig.device(to, 0)]);
}

fn uuid(device: &str) -> String {
    run("blkid", &["-p", "-s", "UUID", "-o", "value", device])
}

/// The volume with the context of one that was made from `source`.
fn made_from(volume: &Volume, source: &str) -> Volume {
    let mut volume = volume.clone();
    volume.context.insert("eck.csi.k8s.io/content-source".into(), source.into());
    volume
}

/// The kernel wants `CAP_SYS_RESOURCE` (include/uapi/linux/capability.h) of who grows a mounted ext file system; root lacks it
/// on some test machines.
fn can_grow(fs: &str) -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    fs == "xfs" || u64::from_str_radix(bits.trim(), 16).unwrap() >> CAP_SYS_RESOURCE & 1 == 1
}

/// A staged volume with a file, and a volume on a larger disk with a copy of its content.
struct Copied {
    rig: Rig,
    kubelet: Kubelet,
    volume_use: VolumeUse,
    source: Volume,
    source_path: PathBuf,
    source_uuid: String,
    /// As the controller makes it from the source.
    copy: Volume,
    /// The same without a word about the source.
    copy_without_source: Volume,
    copy_path: PathBuf,
    copy_gib: u64,
}

impl Copied {
    async fn new(fs: &str) -> Self {
        let rig = Rig::start(1).await;
        let (kubelet, volume_use) = (rig.kubelet(0), VolumeUse::mount(fs));
        let (source, mut copy) = (rig.volume("pvc-source", 0).await, rig.volume("pvc-copy", 0).await);
        let (source_path, copy_path) = (rig.path("source"), rig.path("copy"));
        kubelet.stage(&source, &source_path, &volume_use).await.unwrap();
        std::fs::write(source_path.join("file"), "precious").unwrap();
        let copy_gib = if can_grow(fs) { 30 } else { 20 };
        rig.detach(&copy, 0).await;
        rig.expand(&copy, copy_gib).await;
        rig.attach(&mut copy, 0).await;
        run("sync", &["-f", source_path.to_str().unwrap()]);
        copy_disk(&rig, &source, &copy);
        let source_uuid = uuid(&rig.device(&source, 0));
        assert_eq!(uuid(&rig.device(&copy, 0)), source_uuid, "the copy should have its source's UUID");
        let (copy, copy_without_source) = (made_from(&copy, &source.id), copy);
        Self {
            rig,
            kubelet,
            volume_use,
            source,
            source_path,
            source_uuid,
            copy,
            copy_without_source,
            copy_path,
            copy_gib,
        }
    }

    async fn staged(fs: &str) -> Self {
        let copied = Self::new(fs).await;
        copied.kubelet.stage(&copied.copy, &copied.copy_path, &copied.volume_use).await.unwrap();
        copied
    }

    async fn finish(self) {
        self.kubelet.unstage(&self.copy, &self.copy_path).await.unwrap();
        self.kubelet.unstage(&self.source, &self.source_path).await.unwrap();
        self.rig.finish().await;
    }
}

/// It would be another volume's file system.
async fn without_its_source_a_copy_is_refused(fs: &str) {
    let copied = Copied::new(fs).await;
    let Copied { kubelet, copy_without_source, copy_path, volume_use, .. } = &copied;
    let staged = kubelet.stage(copy_without_source, copy_path, volume_use).await;
    assert_refused(staged, Code::FailedPrecondition, "made for another volume");
    copied.finish().await;
}

async fn a_copy_is_not_staged_as_another_file_system(fs: &str) {
    let copied = Copied::new(fs).await;
    let other = VolumeUse::mount(if fs == "xfs" { "ext4" } else { "xfs" });
    let staged = copied.kubelet.stage(&copied.copy, &copied.copy_path, &other).await;
    assert_refused(staged, Code::FailedPrecondition, fs);
    copied.finish().await;
}

async fn a_copy_has_the_files_of_its_source(fs: &str) {
    let copied = Copied::staged(fs).await;
    assert_eq!(std::fs::read_to_string(copied.copy_path.join("file")).unwrap(), "precious");
    copied.finish().await;
}

async fn a_write_to_a_copy_does_not_change_its_source(fs: &str) {
    let copied = Copied::staged(fs).await;
    std::fs::write(copied.copy_path.join("file"), "the copy's").unwrap();
    assert_eq!(std::fs::read_to_string(copied.source_path.join("file")).unwrap(), "precious");
    copied.finish().await;
}

async fn a_copy_gets_a_uuid_of_its_own(fs: &str) {
    let copied = Copied::staged(fs).await;
    assert_ne!(uuid(&copied.rig.device(&copied.copy, 0)), copied.source_uuid);
    assert_eq!(uuid(&copied.rig.device(&copied.source, 0)), copied.source_uuid);
    copied.finish().await;
}

async fn a_copy_fills_its_larger_disk(fs: &str) {
    let copied = Copied::staged(fs).await;
    let bytes = copied.kubelet.stats(&copied.copy, &copied.copy_path).await.unwrap()[0].total;
    assert!(bytes > (copied.copy_gib as i64 - 1) << 30, "{bytes}");
    copied.finish().await;
}

/// By the file system's own tool.
async fn a_copy_is_consistent(fs: &str) {
    let copied = Copied::staged(fs).await;
    copied.kubelet.unstage(&copied.copy, &copied.copy_path).await.unwrap();
    let device = copied.rig.device(&copied.copy, 0);
    match fs {
        "xfs" => run("xfs_repair", &["-n", &device]),
        _ => run("e2fsck", &["-f", "-n", &device]),
    };
    copied.finish().await;
}

async fn a_copy_that_was_staged_once_needs_its_source_no_more(fs: &str) {
    let copied = Copied::staged(fs).await;
    std::fs::write(copied.copy_path.join("file"), "the copy's").unwrap();
    copied.kubelet.unstage(&copied.copy, &copied.copy_path).await.unwrap();
    let Copied { kubelet, copy_without_source, copy_path, volume_use, .. } = &copied;
    kubelet.stage(copy_without_source, copy_path, volume_use).await.unwrap();
    assert_eq!(std::fs::read_to_string(copy_path.join("file")).unwrap(), "the copy's");
    copied.finish().await;
}

/// Each of the facts above, for one file system.
macro_rules! tests_with {
    ($fs:ident: $($name:ident),* $(,)?) => {
        mod $fs {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(stringify!($fs)).await;
                }
            )*
        }
    };
}

macro_rules! tests_with_each {
    ($($fs:ident),*) => {
        $(tests_with! { $fs:
            without_its_source_a_copy_is_refused,
            a_copy_is_not_staged_as_another_file_system,
            a_copy_has_the_files_of_its_source,
            a_write_to_a_copy_does_not_change_its_source,
            a_copy_gets_a_uuid_of_its_own,
            a_copy_fills_its_larger_disk,
            a_copy_is_consistent,
            a_copy_that_was_staged_once_needs_its_source_no_more,
        })*
    };
}

tests_with_each!(ext4, ext3, xfs);

#[tokio::test]
async fn a_blank_copy_is_not_formatted() {
    let rig = Rig::start(1).await;
    let (kubelet, path) = (rig.kubelet(0), rig.path("copy"));
    let copy = made_from(&rig.volume("pvc-copy", 0).await, "snap-1");
    let staged = kubelet.stage(&copy, &path, &VolumeUse::mount("xfs")).await;
    let message = assert_refused(staged, Code::FailedPrecondition, "snap-1");
    assert!(message.contains("not formatted"), "{message}");
    assert!(!path.exists());
    rig.finish().await;
}

/// A copy that is staged read-only, next to its staged source; both are xfs.
struct ReadOnlyCopy {
    rig: Rig,
    source: Volume,
    copy: Volume,
}

impl ReadOnlyCopy {
    async fn staged() -> Self {
        const SINGLE_NODE_READER_ONLY: i32 = 2;
        let rig = Rig::start(1).await;
        let (kubelet, xfs) = (rig.kubelet(0), VolumeUse::mount("xfs"));
        let (source, copy) = (rig.volume("pvc-source", 0).await, rig.volume("pvc-copy", 0).await);
        kubelet.stage(&source, &rig.path("source"), &xfs).await.unwrap();
        std::fs::write(rig.path("source").join("file"), "precious").unwrap();
        kubelet.unstage(&source, &rig.path("source")).await.unwrap();
        copy_disk(&rig, &source, &copy);
        kubelet.stage(&source, &rig.path("source"), &xfs).await.unwrap();
        let copy = made_from(&copy, "snap-1");
        let reader = VolumeUse { mode: SINGLE_NODE_READER_ONLY, ..xfs };
        kubelet.stage(&copy, &rig.path("copy"), &reader).await.unwrap();
        Self { rig, source, copy }
    }

    async fn unstage_copy(&self) {
        self.rig.kubelet(0).unstage(&self.copy, &self.rig.path("copy")).await.unwrap();
    }

    async fn finish(self) {
        self.unstage_copy().await;
        self.rig.kubelet(0).unstage(&self.source, &self.rig.path("source")).await.unwrap();
        self.rig.finish().await;
    }
}

#[tokio::test]
async fn a_read_only_copy_has_the_files_of_its_source() {
    let copied = ReadOnlyCopy::staged().await;
    assert_eq!(std::fs::read_to_string(copied.rig.path("copy").join("file")).unwrap(), "precious");
    copied.finish().await;
}

#[tokio::test]
async fn a_read_only_copy_is_not_written_to() {
    let copied = ReadOnlyCopy::staged().await;
    copied.unstage_copy().await;
    let uuids = [&copied.copy, &copied.source].map(|volume| uuid(&copied.rig.device(volume, 0)));
    assert_eq!(uuids[0], uuids[1], "a reader's disk was written to");
    copied.finish().await;
}
