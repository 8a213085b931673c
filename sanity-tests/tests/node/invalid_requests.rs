//! Every field of every node request that is missing, too long, of the wrong form or contradictory: refused with field,
//! value and what is allowed, and nothing is touched.

use std::collections::HashMap;
use std::os::unix::fs::symlink;

use proto::csi::v1 as pb;
use sanity_tests::kubelet::{Volume, VolumeUse};
use tonic::Code::{self, FailedPrecondition, InvalidArgument, NotFound};

use super::rig::{Rig, refused, run};

type Stage = pb::NodeStageVolumeRequest;
type Publish = pb::NodePublishVolumeRequest;

fn long() -> String {
    "x".repeat(129)
}

fn many() -> HashMap<String, String> {
    (0..200).map(|i| (format!("key-{i}"), "v".repeat(40))).collect()
}

fn set(map: &HashMap<String, String>, key: &str, value: &str) -> HashMap<String, String> {
    let mut map = map.clone();
    map.insert(key.to_owned(), value.to_owned());
    map
}

/// Name of the case, the change, code, words that the error must have.
type Case<Q> = (&'static str, fn(&mut Q), Code, &'static str);

const STAGE: &[Case<Stage>] = &[
    ("no id", |q| q.volume_id.clear(), InvalidArgument, "volume_id"),
    ("a long id", |q| q.volume_id = long(), InvalidArgument, "at most 128 bytes"),
    ("an id of no disk", |q| q.volume_id = "fake-vol-id-1".into(), NotFound, "fake-vol-id-1"),
    ("no path", |q| q.staging_target_path.clear(), InvalidArgument, "staging_target_path"),
    ("a relative path", |q| q.staging_target_path = "a/b".into(), InvalidArgument, "absolute path"),
    ("dots", |q| q.staging_target_path += "/../x", InvalidArgument, "without '..'"),
    ("a newline", |q| q.staging_target_path += "\n", InvalidArgument, "control characters"),
    ("no capability", |q| q.volume_capability = None, InvalidArgument, "volume_capability"),
    (
        "ntfs",
        |q| q.volume_capability = Some(VolumeUse::mount("ntfs").capability()),
        InvalidArgument,
        "ext4, ext3, xfs or vfat",
    ),
    (
        "many nodes",
        |q| q.volume_capability = Some(VolumeUse { mode: 5, ..VolumeUse::mount("ext4") }.capability()),
        InvalidArgument,
        "SINGLE_NODE_",
    ),
    (
        "an option that remounts",
        |q| {
            q.volume_capability = Some(
                VolumeUse { mount_flags: vec!["remount".into()], ..VolumeUse::mount("ext4") }.capability(),
            )
        },
        InvalidArgument,
        "remount",
    ),
    ("no publish context", |q| q.publish_context.clear(), InvalidArgument, "publish_context.eck.csi.k8s.io/"),
    (
        "another disk's publish context",
        |q| q.publish_context = set(&q.publish_context, "eck.csi.k8s.io/disk", "cd-another"),
        InvalidArgument,
        "the disk of volume_id",
    ),
    (
        "a serial with a path",
        |q| q.publish_context = set(&q.publish_context, "eck.csi.k8s.io/serials", "../../etc"),
        InvalidArgument,
        "eck.csi.k8s.io/serials",
    ),
    (
        "a negative size",
        |q| q.publish_context = set(&q.publish_context, "eck.csi.k8s.io/size-bytes", "-5"),
        InvalidArgument,
        "a positive number of bytes",
    ),
    ("a huge context", |q| q.volume_context = many(), InvalidArgument, "at most 4096 bytes"),
    (
        "ntfs in the context",
        |q| q.volume_context = set(&q.volume_context, "fsType", "ntfs"),
        InvalidArgument,
        "volume_context.fsType",
    ),
];

const PUBLISH: &[Case<Publish>] = &[
    ("no id", |q| q.volume_id.clear(), InvalidArgument, "volume_id"),
    ("an id of no disk", |q| q.volume_id = "fake-vol-id-1".into(), NotFound, "fake-vol-id-1"),
    ("no target", |q| q.target_path.clear(), InvalidArgument, "target_path"),
    ("dots", |q| q.target_path += "/../x", InvalidArgument, "without '..'"),
    ("no staging path", |q| q.staging_target_path.clear(), FailedPrecondition, "staging_target_path"),
    ("another staging path", |q| q.staging_target_path += "-else", FailedPrecondition, "not staged at"),
    ("no capability", |q| q.volume_capability = None, InvalidArgument, "volume_capability"),
    ("no publish context", |q| q.publish_context.clear(), InvalidArgument, "publish_context"),
    ("a missing folder above", |q| q.target_path += "/no/such", Code::Internal, "the folder above"),
];

fn stage_request(rig: &Rig, volume: &Volume) -> Stage {
    Stage {
        volume_id: volume.id.clone(),
        publish_context: volume.publish_context.clone(),
        volume_context: volume.context.clone(),
        staging_target_path: rig.path("globalmount").to_string_lossy().into_owned(),
        volume_capability: Some(VolumeUse::mount("ext4").capability()),
        ..Stage::default()
    }
}

fn checksum(device: &str) -> String {
    run("sh", &["-c", &format!("head -c 67108864 {device} | sha256sum")])
}

#[tokio::test]
async fn a_bad_request_is_refused_by_field_and_touches_nothing() {
    let rig = Rig::start(1).await;
    let (kubelet, volume) = (rig.kubelet(0), rig.volume("pvc-bad", 0).await);
    let device = rig.device(&volume, 0);
    let before = checksum(&device);
    for (name, change, code, words) in STAGE {
        let mut request = stage_request(&rig, &volume);
        change(&mut request);
        println!(
            "stage, {name}: {}",
            refused(kubelet.client().node_stage_volume(request).await, *code, words)
        );
    }
    assert_eq!(checksum(&device), before, "a refused request wrote to the disk");
    assert_eq!(std::fs::read_dir(rig.path("")).unwrap().count(), 0, "a refused request made a folder");

    kubelet.client().node_stage_volume(stage_request(&rig, &volume)).await.unwrap();
    for (name, change, code, words) in PUBLISH {
        let staged = stage_request(&rig, &volume);
        let mut request = Publish {
            volume_id: staged.volume_id,
            publish_context: staged.publish_context,
            volume_context: staged.volume_context,
            staging_target_path: staged.staging_target_path,
            target_path: rig.path("pod").to_string_lossy().into_owned(),
            volume_capability: staged.volume_capability,
            ..Publish::default()
        };
        change(&mut request);
        println!(
            "publish, {name}: {}",
            refused(kubelet.client().node_publish_volume(request).await, *code, words)
        );
    }
    assert_eq!(std::fs::read_dir(rig.path("")).unwrap().count(), 1, "a refused request made a target");
    kubelet.unstage(&volume, &rig.path("globalmount")).await.unwrap();
    rig.end().await;
}

#[tokio::test]
async fn the_other_calls_name_their_fields_too() {
    let rig = Rig::start(1).await;
    let (kubelet, volume) = (rig.kubelet(0), rig.volume("pvc-other", 0).await);
    let none = Volume::default();
    let path = rig.path("nothing");
    let empty = std::path::Path::new("");
    let relative = std::path::Path::new("some/path");
    let fake = Volume { id: "fake-vol-id".into(), ..Volume::default() };
    refused(kubelet.unstage(&none, &path).await, InvalidArgument, "volume_id");
    refused(kubelet.unstage(&volume, empty).await, InvalidArgument, "staging_target_path");
    refused(kubelet.unpublish(&none, &path).await, InvalidArgument, "volume_id");
    refused(kubelet.unpublish(&volume, empty).await, InvalidArgument, "target_path");
    refused(kubelet.stats(&none, &path).await, InvalidArgument, "volume_id");
    refused(kubelet.stats(&volume, empty).await, InvalidArgument, "volume_path");
    refused(kubelet.stats(&volume, relative).await, NotFound, &volume.id);
    refused(kubelet.stats(&fake, relative).await, NotFound, "fake-vol-id");
    refused(kubelet.stats(&volume, &path).await, NotFound, "nothing");
    refused(kubelet.expand(&none, &path, 0).await, InvalidArgument, "volume_id");
    refused(kubelet.expand(&volume, empty, 0).await, InvalidArgument, "volume_path");
    refused(kubelet.expand(&volume, &path, -1).await, InvalidArgument, "capacity_range.required_bytes");
    refused(kubelet.expand(&volume, &path, 0).await, NotFound, "nothing");
    refused(kubelet.expand(&fake, &path, 0).await, NotFound, "fake-vol-id");
    rig.end().await;
}

#[tokio::test]
async fn no_symlink_is_followed_and_nothing_with_data_is_removed() {
    let rig = Rig::start(1).await;
    let (kubelet, volume, wanted) =
        (rig.kubelet(0), rig.volume("pvc-link", 0).await, VolumeUse::mount("ext4"));
    let (real, link) = (rig.path("real"), rig.path("link"));
    std::fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    refused(kubelet.stage(&volume, &link, &wanted).await, InvalidArgument, "symlink");
    refused(kubelet.stage(&volume, &link.join("below"), &wanted).await, InvalidArgument, "symlink");
    let staging = rig.path(&"x".repeat(128));
    kubelet.stage(&volume, &staging, &wanted).await.unwrap();
    refused(kubelet.publish(&volume, &staging, &link, &wanted).await, InvalidArgument, "symlink");
    refused(kubelet.unpublish(&volume, &link).await, InvalidArgument, "symlink");
    std::fs::write(real.join("data"), "precious").unwrap();
    refused(kubelet.unpublish(&volume, &real).await, FailedPrecondition, "not removed");
    assert_eq!(std::fs::read_to_string(real.join("data")).unwrap(), "precious");
    assert!(link.symlink_metadata().unwrap().is_symlink());
    kubelet.unstage(&volume, &staging).await.unwrap();
    rig.end().await;
}
