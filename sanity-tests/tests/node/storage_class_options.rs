//! What a StorageClass says about its volumes' file systems: how they are made and checked, and how they return freed space.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sanity_tests::kubelet::{Volume, VolumeUse};
use sanity_tests::sidecar::{Claim, Request};
use tonic::Code;

use super::fixture::Fixture;
use super::rig::{Rig, assert_refused, run};

const MIB: usize = 1 << 20;

/// The volume with these parameters of its class.
fn with_options(volume: &Volume, options: &[(&str, &str)]) -> Volume {
    let mut volume = volume.clone();
    volume.context.extend(options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    volume
}

#[tokio::test]
async fn an_invalid_parameter_is_refused_before_a_disk_is_ordered() {
    let rig = Rig::start(1).await;
    for (key, value, text) in [
        (
            "fsckPolicy",
            "force",
            "parameters.fsckPolicy: \"force\" is not allowed; allowed: repair, check, none",
        ),
        ("discard", "true", "allowed: none, mount, periodic"),
        ("mkfsOptions", "-F /dev/sda", "parameters.mkfsOptions: \"-F /dev/sda\""),
        ("mkfsOptions", "reflink=0", "for ext4: blockSize="),
        ("fsckpolicy", "none", "did you mean fsckPolicy?"),
    ] {
        let parameters = HashMap::from([(key.to_owned(), value.to_owned())]);
        let claim = Claim { name: "pvc-bad".into(), gib: 20, parameters, ..Claim::default() };
        let created = rig.call(Request::Create(claim)).await;
        println!("{}", assert_refused(created, Code::InvalidArgument, text));
    }
    rig.finish().await;
}

/// A PersistentVolume that was written by hand never passes the controller.
#[tokio::test]
async fn an_invalid_option_of_a_volume_is_refused_by_the_node() {
    let fixture = Fixture::attached(VolumeUse::mount("xfs")).await;
    let volume = with_options(&fixture.volume, &[("mkfsOptions", "clusterSize=4096")]);
    let staged = fixture.kubelet.stage(&volume, &fixture.staging, &fixture.volume_use).await;
    assert_refused(staged, Code::InvalidArgument, "volume_context.mkfsOptions");
    fixture.finish().await;
}

/// Formats a volume with these options, and asserts that the file system's own tool shows `expected`; then stages it once more,
/// which must find it as it is.
async fn assert_formatted(fs: &str, options: &str, expected: &[&str]) {
    let fixture = Fixture::attached(VolumeUse::mount(fs)).await;
    let volume = with_options(&fixture.volume, &[("mkfsOptions", options)]);
    fixture.kubelet.stage(&volume, &fixture.staging, &fixture.volume_use).await.unwrap();
    let shown = match fs {
        "xfs" => run("xfs_info", &[fixture.staging.to_str().unwrap()]),
        _ => run("tune2fs", &["-l", &fixture.device()]),
    };
    for text in expected {
        assert!(shown.contains(text), "{fs} {options}: no {text:?} in\n{shown}");
    }
    fixture.kubelet.unstage(&volume, &fixture.staging).await.unwrap();
    fixture.kubelet.stage(&volume, &fixture.staging, &fixture.volume_use).await.unwrap();
    fixture.finish().await;
}

#[tokio::test]
async fn ext4_is_made_with_the_options_of_the_class() {
    assert_formatted(
        "ext4",
        "blockSize=2048,inodeSize=512,bytesPerInode=65536,reservedPercent=3",
        &["Block size:               2048", "Inode size:\t          512", "Reserved block count:     314572"],
    )
    .await;
}

#[tokio::test]
async fn ext3_is_made_with_the_options_of_the_class() {
    assert_formatted("ext3", "blockSize=1024", &["Block size:               1024"]).await;
}

#[tokio::test]
async fn xfs_is_made_with_the_options_of_the_class() {
    assert_formatted(
        "xfs",
        "blockSize=2048,inodeSize=1024,reflink=0,bigtime=0,inodePercent=7",
        &["bsize=2048 ", "isize=1024 ", "reflink=0", "bigtime=0", "imaxpct=7"],
    )
    .await;
}

#[tokio::test]
async fn xfs_is_made_with_blocks_of_1_kib() {
    assert_formatted("xfs", "blockSize=1024,inodeSize=512", &["bsize=1024 ", "isize=512 "]).await;
}

/// A volume with a file whose count of links is wrong, and with the kernel's note that it met an error. Not staged.
async fn damaged() -> Fixture {
    let fixture = Fixture::staged(VolumeUse::mount("ext4")).await;
    std::fs::write(fixture.staging.join("file"), "kept").unwrap();
    fixture.kubelet.unstage(&fixture.volume, &fixture.staging).await.unwrap();
    let device = fixture.device();
    run("debugfs", &["-w", "-R", "set_inode_field file links_count 5", &device]);
    run("debugfs", &["-w", "-R", "set_super_value state 2", &device]);
    run("blockdev", &["--flushbufs", &device]);
    fixture
}

async fn stage_with_fsck_policy(fixture: &Fixture, policy: &str) -> Result<(), tonic::Status> {
    let volume = with_options(&fixture.volume, &[("fsckPolicy", policy)]);
    fixture.kubelet.stage(&volume, &fixture.staging, &fixture.volume_use).await
}

/// What the superblock says, once the volume is unstaged.
async fn superblock(fixture: &Fixture) -> String {
    fixture.kubelet.unstage(&fixture.volume, &fixture.staging).await.unwrap();
    run("dumpe2fs", &["-h", &fixture.device()])
}

#[tokio::test]
async fn fsck_policy_check_refuses_a_damaged_file_system() {
    let fixture = damaged().await;
    let staged = stage_with_fsck_policy(&fixture, "check").await;
    println!("{}", assert_refused(staged, Code::FailedPrecondition, "fsckPolicy check repairs nothing"));
    fixture.finish().await;
}

#[tokio::test]
async fn fsck_policy_check_writes_nothing_to_a_damaged_file_system() {
    let fixture = damaged().await;
    // All of the disk that is not a hole.
    let checksum = || run("sh", &["-c", &format!("head -c 67108864 {} | sha256sum", fixture.device())]);
    let before = checksum();
    stage_with_fsck_policy(&fixture, "check").await.unwrap_err();
    assert_eq!(checksum(), before, "a check wrote to the disk");
    fixture.finish().await;
}

#[tokio::test]
async fn a_file_system_that_was_refused_by_fsck_policy_check_is_reported() {
    let fixture = damaged().await;
    stage_with_fsck_policy(&fixture, "check").await.unwrap_err();
    let findings = fixture.kubelet.health(&fixture.volume, Path::new(""), &fixture.staging).await.unwrap();
    assert_eq!(findings[0].reason, "FileSystemErrors");
    fixture.finish().await;
}

#[tokio::test]
async fn fsck_policy_none_mounts_a_damaged_file_system_as_it_is() {
    let fixture = damaged().await;
    stage_with_fsck_policy(&fixture, "none").await.unwrap();
    let superblock = superblock(&fixture).await;
    assert!(superblock.contains("errors"), "fsckPolicy none must repair nothing:\n{superblock}");
    fixture.finish().await;
}

#[tokio::test]
async fn by_default_a_damaged_file_system_is_repaired() {
    let fixture = damaged().await;
    fixture.kubelet.stage(&fixture.volume, &fixture.staging, &fixture.volume_use).await.unwrap();
    let superblock = superblock(&fixture).await;
    assert!(superblock.contains("Filesystem state:         clean\n"), "{superblock}");
    fixture.finish().await;
}

#[tokio::test]
async fn a_repair_keeps_the_files() {
    let fixture = damaged().await;
    fixture.kubelet.stage(&fixture.volume, &fixture.staging, &fixture.volume_use).await.unwrap();
    assert_eq!(std::fs::read_to_string(fixture.staging.join("file")).unwrap(), "kept");
    fixture.finish().await;
}

#[tokio::test]
async fn fsck_policy_check_mounts_a_repaired_file_system() {
    let fixture = damaged().await;
    fixture.kubelet.stage(&fixture.volume, &fixture.staging, &fixture.volume_use).await.unwrap();
    fixture.kubelet.unstage(&fixture.volume, &fixture.staging).await.unwrap();
    stage_with_fsck_policy(&fixture, "check").await.unwrap();
    fixture.finish().await;
}

/// Size in KiB of what a file takes on this machine.
fn allocated_kib(file: &Path) -> u64 {
    run("du", &["-k", file.to_str().unwrap()]).split('\t').next().unwrap().parse().unwrap()
}

/// A staged volume with a discard policy.
struct Discarding {
    volume: Volume,
    staging: PathBuf,
    backing_file: PathBuf,
    /// The backing file is smaller than this once the freed space is returned.
    limit_kib: u64,
}

impl Discarding {
    async fn stage(rig: &Rig, policy: &str) -> Self {
        let volume = rig.volume(&format!("pvc-{policy}"), 0).await;
        let staging = rig.path(policy);
        let with_policy = with_options(&volume, &[("discard", policy)]);
        rig.kubelet(0).stage(&with_policy, &staging, &VolumeUse::mount("ext4")).await.unwrap();
        let backing_file = rig.backing_file(&volume, 0);
        let limit_kib = allocated_kib(&backing_file);
        Self { volume, staging, backing_file, limit_kib }
    }

    /// Writes a file of 128 MiB and removes it. Half of that is the limit, since the file system writes too.
    fn write_and_remove(&mut self) {
        self.limit_kib = allocated_kib(&self.backing_file) + (64 << 10);
        std::fs::write(self.staging.join("large"), vec![7; 128 * MIB]).unwrap();
        run("sync", &["-f", self.staging.to_str().unwrap()]);
        std::fs::remove_file(self.staging.join("large")).unwrap();
        run("sync", &["-f", self.staging.to_str().unwrap()]);
    }

    fn space_is_returned(&self) -> bool {
        allocated_kib(&self.backing_file) < self.limit_kib
    }

    async fn unstage(&self, rig: &Rig) {
        rig.kubelet(0).unstage(&self.volume, &self.staging).await.unwrap();
    }
}

/// The node's notes of when it has trimmed which volume.
fn trim_notes(rig: &Rig) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(rig.state_folder(0).join("trim")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn only_discard_mount_adds_the_mount_option() {
    let rig = Rig::start(1).await;
    for policy in ["none", "mount", "periodic"] {
        let volume = Discarding::stage(&rig, policy).await;
        let options = run("findmnt", &["-n", "-o", "OPTIONS", volume.staging.to_str().unwrap()]);
        assert_eq!(options.split(',').any(|o| o == "discard"), policy == "mount", "{policy}: {options}");
        volume.unstage(&rig).await;
    }
    rig.finish().await;
}

#[tokio::test]
async fn discard_mount_returns_freed_space_at_once() {
    let mut rig = Rig::start(1).await;
    let mut volume = Discarding::stage(&rig, "mount").await;
    volume.write_and_remove();
    // The kernel discards after the journal's commit, without a call that waits for it.
    let returned = async || volume.space_is_returned().then_some(());
    rig.stack.nodes[0].process.until("discard", Duration::from_secs(20), returned).await.unwrap();
    volume.unstage(&rig).await;
    rig.finish().await;
}

/// A week passes by a change of the node's note, while the node program is restarted.
#[tokio::test]
async fn discard_periodic_returns_freed_space_after_a_week_and_discard_none_never() {
    let mut rig = Rig::start(1).await;
    let (mut none, mut periodic) =
        (Discarding::stage(&rig, "none").await, Discarding::stage(&rig, "periodic").await);
    none.write_and_remove();
    periodic.write_and_remove();
    let notes = trim_notes(&rig);
    assert_eq!(notes.len(), 1, "only the periodic volume is noted: {notes:?}");
    assert!(!none.space_is_returned() && !periodic.space_is_returned(), "before a week has passed");
    run("touch", &["-d", "8 days ago", notes[0].to_str().unwrap()]);
    rig.stack.nodes[0].process.kill().unwrap();
    rig.stack.restart_node(0).await.unwrap();
    let returned = async || periodic.space_is_returned().then_some(());
    rig.stack.nodes[0].process.until("trim", Duration::from_secs(20), returned).await.unwrap();
    assert!(!none.space_is_returned(), "a volume with discard none was trimmed");
    none.unstage(&rig).await;
    periodic.unstage(&rig).await;
    rig.finish().await;
}

#[tokio::test]
async fn an_unstaged_volume_is_not_trimmed_any_more() {
    let rig = Rig::start(1).await;
    let volume = Discarding::stage(&rig, "periodic").await;
    assert_eq!(trim_notes(&rig).len(), 1);
    volume.unstage(&rig).await;
    assert_eq!(trim_notes(&rig).len(), 0);
    rig.finish().await;
}
