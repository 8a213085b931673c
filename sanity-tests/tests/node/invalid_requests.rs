//! Every field of every node request that is missing, too long, of the wrong form or contradictory is refused with the field,
//! the value and what is allowed, and nothing is touched.

use std::collections::HashMap;
use std::path::Path;

use proto::csi::v1 as pb;
use sanity_tests::kubelet::{Volume, VolumeUse};
use tonic::Code::{self, FailedPrecondition, InvalidArgument, NotFound};

use super::fixture::Fixture;
use super::rig::{assert_refused, run};

type Stage = pb::NodeStageVolumeRequest;
type Publish = pb::NodePublishVolumeRequest;

fn long_id() -> String {
    "x".repeat(129)
}

fn large_map() -> HashMap<String, String> {
    (0..200).map(|i| (format!("key-{i}"), "v".repeat(40))).collect()
}

fn with(map: &HashMap<String, String>, key: &str, value: &str) -> HashMap<String, String> {
    let mut map = map.clone();
    map.insert(key.to_owned(), value.to_owned());
    map
}

/// Name of the case, the change of a valid request, the code, and what the message must contain.
type Case<Request> = (&'static str, fn(&mut Request), Code, &'static str);

const STAGE: &[Case<Stage>] = &[
    ("no id", |request| request.volume_id.clear(), InvalidArgument, "volume_id"),
    ("a long id", |request| request.volume_id = long_id(), InvalidArgument, "at most 128 bytes"),
    ("an id of no disk", |request| request.volume_id = "fake/vol-id-1".into(), NotFound, "fake/vol-id-1"),
    ("no path", |request| request.staging_target_path.clear(), InvalidArgument, "staging_target_path"),
    (
        "a relative path",
        |request| request.staging_target_path = "a/b".into(),
        InvalidArgument,
        "absolute path",
    ),
    ("dots", |request| request.staging_target_path += "/../x", InvalidArgument, "without '..'"),
    ("a newline", |request| request.staging_target_path += "\n", InvalidArgument, "control characters"),
    ("no capability", |request| request.volume_capability = None, InvalidArgument, "volume_capability"),
    (
        "ntfs",
        |request| request.volume_capability = Some(VolumeUse::mount("ntfs").capability()),
        InvalidArgument,
        "ext4, ext3, xfs or vfat",
    ),
    (
        "many nodes",
        |request| {
            request.volume_capability = Some(VolumeUse { mode: 5, ..VolumeUse::mount("ext4") }.capability())
        },
        InvalidArgument,
        "SINGLE_NODE_",
    ),
    (
        "an option that remounts",
        |request| {
            request.volume_capability = Some(
                VolumeUse { mount_flags: vec!["remount".into()], ..VolumeUse::mount("ext4") }.capability(),
            )
        },
        InvalidArgument,
        "remount",
    ),
    (
        "no publish context",
        |request| request.publish_context.clear(),
        InvalidArgument,
        "publish_context.eck.csi.k8s.io/",
    ),
    (
        "another disk's publish context",
        |request| {
            request.publish_context = with(&request.publish_context, "eck.csi.k8s.io/disk", "cd-another")
        },
        InvalidArgument,
        "the disk of volume_id",
    ),
    (
        "a serial with a path",
        |request| {
            request.publish_context = with(&request.publish_context, "eck.csi.k8s.io/serials", "../../etc")
        },
        InvalidArgument,
        "eck.csi.k8s.io/serials",
    ),
    (
        "a negative size",
        |request| request.publish_context = with(&request.publish_context, "eck.csi.k8s.io/size-bytes", "-5"),
        InvalidArgument,
        "a positive number of bytes",
    ),
    ("a huge context", |request| request.volume_context = large_map(), InvalidArgument, "at most 4096 bytes"),
    (
        "ntfs in the context",
        |request| request.volume_context = with(&request.volume_context, "fsType", "ntfs"),
        InvalidArgument,
        "volume_context.fsType",
    ),
];

const PUBLISH: &[Case<Publish>] = &[
    ("no id", |request| request.volume_id.clear(), InvalidArgument, "volume_id"),
    ("an id of no disk", |request| request.volume_id = "fake/vol-id-1".into(), NotFound, "fake/vol-id-1"),
    ("no target", |request| request.target_path.clear(), InvalidArgument, "target_path"),
    ("dots", |request| request.target_path += "/../x", InvalidArgument, "without '..'"),
    (
        "no staging path",
        |request| request.staging_target_path.clear(),
        FailedPrecondition,
        "staging_target_path",
    ),
    (
        "another staging path",
        |request| request.staging_target_path += "-else",
        FailedPrecondition,
        "not staged at",
    ),
    ("no capability", |request| request.volume_capability = None, InvalidArgument, "volume_capability"),
    ("no publish context", |request| request.publish_context.clear(), InvalidArgument, "publish_context"),
    (
        "a missing folder above",
        |request| request.target_path += "/no/such",
        Code::Internal,
        "the folder above",
    ),
];

fn ext4() -> VolumeUse {
    VolumeUse::mount("ext4")
}

/// A valid request.
fn stage_request(fixture: &Fixture) -> Stage {
    Stage {
        volume_id: fixture.volume.id.clone(),
        publish_context: fixture.volume.publish_context.clone(),
        volume_context: fixture.volume.context.clone(),
        staging_target_path: fixture.staging.to_string_lossy().into_owned(),
        volume_capability: Some(ext4().capability()),
        ..Stage::default()
    }
}

/// A valid request.
fn publish_request(fixture: &Fixture) -> Publish {
    let staged = stage_request(fixture);
    Publish {
        volume_id: staged.volume_id,
        publish_context: staged.publish_context,
        volume_context: staged.volume_context,
        staging_target_path: staged.staging_target_path,
        target_path: fixture.target.to_string_lossy().into_owned(),
        volume_capability: staged.volume_capability,
        ..Publish::default()
    }
}

/// Sends every invalid stage request, and asserts that each is refused.
async fn send_invalid_stage_requests(fixture: &Fixture) {
    for (name, change, code, text) in STAGE {
        let mut request = stage_request(fixture);
        change(&mut request);
        let staged = fixture.kubelet.client().node_stage_volume(request).await;
        println!("stage, {name}: {}", assert_refused(staged, *code, text));
    }
}

/// Sends every invalid publish request, and asserts that each is refused.
async fn send_invalid_publish_requests(fixture: &Fixture) {
    for (name, change, code, text) in PUBLISH {
        let mut request = publish_request(fixture);
        change(&mut request);
        let published = fixture.kubelet.client().node_publish_volume(request).await;
        println!("publish, {name}: {}", assert_refused(published, *code, text));
    }
}

fn checksum(device: &str) -> String {
    run("sh", &["-c", &format!("head -c 67108864 {device} | sha256sum")])
}

fn files_in_kubelet_folder(fixture: &Fixture) -> usize {
    std::fs::read_dir(fixture.rig.path("")).unwrap().count()
}

#[tokio::test]
async fn an_invalid_stage_request_is_refused_by_field() {
    let fixture = Fixture::attached(ext4()).await;
    send_invalid_stage_requests(&fixture).await;
    fixture.finish().await;
}

#[tokio::test]
async fn an_invalid_stage_request_writes_nothing_to_the_disk() {
    let fixture = Fixture::attached(ext4()).await;
    let before = checksum(&fixture.device());
    send_invalid_stage_requests(&fixture).await;
    assert_eq!(checksum(&fixture.device()), before, "a refused request wrote to the disk");
    fixture.finish().await;
}

#[tokio::test]
async fn an_invalid_stage_request_makes_no_folder() {
    let fixture = Fixture::attached(ext4()).await;
    send_invalid_stage_requests(&fixture).await;
    assert_eq!(files_in_kubelet_folder(&fixture), 0, "a refused request made a folder");
    fixture.finish().await;
}

#[tokio::test]
async fn an_invalid_publish_request_is_refused_by_field() {
    let fixture = Fixture::staged(ext4()).await;
    send_invalid_publish_requests(&fixture).await;
    fixture.finish().await;
}

#[tokio::test]
async fn an_invalid_publish_request_makes_no_target() {
    let fixture = Fixture::staged(ext4()).await;
    send_invalid_publish_requests(&fixture).await;
    assert_eq!(files_in_kubelet_folder(&fixture), 1, "a refused request made a target");
    fixture.finish().await;
}

/// A volume without an id.
fn no_volume() -> Volume {
    Volume::default()
}

/// A volume whose id is that of no disk.
fn no_disk() -> Volume {
    Volume { id: "fake-vol-id".into(), ..Volume::default() }
}

#[tokio::test]
async fn an_invalid_unstage_request_is_refused_by_field() {
    let fixture = Fixture::attached(ext4()).await;
    let Fixture { kubelet, volume, .. } = &fixture;
    assert_refused(kubelet.unstage(&no_volume(), &fixture.staging).await, InvalidArgument, "volume_id");
    let unstaged = kubelet.unstage(volume, Path::new("")).await;
    assert_refused(unstaged, InvalidArgument, "staging_target_path");
    fixture.finish().await;
}

#[tokio::test]
async fn an_invalid_unpublish_request_is_refused_by_field() {
    let fixture = Fixture::attached(ext4()).await;
    let Fixture { kubelet, volume, .. } = &fixture;
    assert_refused(kubelet.unpublish(&no_volume(), &fixture.target).await, InvalidArgument, "volume_id");
    assert_refused(kubelet.unpublish(volume, Path::new("")).await, InvalidArgument, "target_path");
    fixture.finish().await;
}

#[tokio::test]
async fn an_invalid_statistics_request_is_refused_by_field() {
    let fixture = Fixture::attached(ext4()).await;
    let (kubelet, volume, missing) = (&fixture.kubelet, &fixture.volume, fixture.rig.path("nothing"));
    let relative = Path::new("some/path");
    assert_refused(kubelet.stats(&no_volume(), &missing).await, InvalidArgument, "volume_id");
    assert_refused(kubelet.stats(volume, Path::new("")).await, InvalidArgument, "volume_path");
    assert_refused(kubelet.stats(volume, relative).await, NotFound, &volume.id);
    assert_refused(kubelet.stats(&no_disk(), relative).await, NotFound, "fake-vol-id");
    assert_refused(kubelet.stats(volume, &missing).await, NotFound, "nothing");
    fixture.finish().await;
}

#[tokio::test]
async fn an_invalid_expand_request_is_refused_by_field() {
    let fixture = Fixture::attached(ext4()).await;
    let (kubelet, volume, missing) = (&fixture.kubelet, &fixture.volume, fixture.rig.path("nothing"));
    assert_refused(kubelet.expand(&no_volume(), &missing, 0).await, InvalidArgument, "volume_id");
    assert_refused(kubelet.expand(volume, Path::new(""), 0).await, InvalidArgument, "volume_path");
    let negative = kubelet.expand(volume, &missing, -1).await;
    assert_refused(negative, InvalidArgument, "capacity_range.required_bytes");
    assert_refused(kubelet.expand(volume, &missing, 0).await, NotFound, "nothing");
    assert_refused(kubelet.expand(&no_disk(), &missing, 0).await, NotFound, "fake-vol-id");
    fixture.finish().await;
}

/// Where the kernel has vfat, it is used.
#[tokio::test]
async fn a_file_system_that_the_kernel_lacks_is_refused_before_the_disk_is_written() {
    let fixture = Fixture::attached(VolumeUse::mount("vfat")).await;
    let known = std::fs::read_to_string("/proc/filesystems").unwrap();
    let staged = fixture.kubelet.stage(&fixture.volume, &fixture.staging, &fixture.volume_use).await;
    if known.lines().any(|line| line.trim() == "vfat") {
        staged.unwrap();
    } else {
        assert_refused(staged, FailedPrecondition, "cannot mount vfat");
        // The disk is still blank: it can be formatted with another file system.
        let ext3 = VolumeUse::mount("ext3");
        fixture.kubelet.stage(&fixture.volume, &fixture.staging, &ext3).await.unwrap();
    }
    fixture.finish().await;
}
