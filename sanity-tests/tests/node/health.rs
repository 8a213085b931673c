//! What the node says of a volume's health when something is really wrong with it.

use std::path::Path;

use proto::csi::v1::{StorageHealthErrorType as Backend, VolumeHealthErrorType as Bad};
use sanity_tests::kubelet::{Kubelet, Volume, VolumeUse};
use tonic::Code;

use super::rig::{Rig, refused, run};

const NOWHERE: &str = "";

/// Reasons and severities, in the order of the answer.
async fn ills(kubelet: &Kubelet, volume: &Volume, published: &Path, staged: &Path) -> Vec<(String, Bad)> {
    let found = kubelet.health(volume, published, staged).await.unwrap();
    found.into_iter().map(|f| (f.reason, Bad::try_from(f.status).unwrap())).collect()
}

fn is(reason: &str, bad: Bad) -> (String, Bad) {
    (reason.to_owned(), bad)
}

#[tokio::test]
async fn a_volume_is_well_until_its_mount_or_its_disk_is_gone() {
    let rig = Rig::start(1).await;
    let (kubelet, volume, wanted) =
        (rig.kubelet(0), rig.volume("pvc-well", 0).await, VolumeUse::mount("ext4"));
    let (staging, target, nowhere) = (rig.path("globalmount"), rig.path("pod"), Path::new(NOWHERE));
    assert_eq!(ills(&kubelet, &volume, nowhere, nowhere).await, [], "attached, not staged yet");
    kubelet.stage(&volume, &staging, &wanted).await.unwrap();
    let unpublished = ills(&kubelet, &volume, &target, &staging).await;
    assert_eq!(unpublished, [is("MountMissing", Bad::Inaccessible)]);
    kubelet.publish(&volume, &staging, &target, &wanted).await.unwrap();
    for (published, staged) in [(&*target, &*staging), (nowhere, &*staging), (nowhere, nowhere)] {
        assert_eq!(ills(&kubelet, &volume, published, staged).await, []);
    }
    assert!(kubelet.storage_health().await.unwrap().is_empty());

    // Somebody unmounts it behind the driver's back.
    run("umount", &[target.to_str().unwrap()]);
    assert_eq!(
        ills(&kubelet, &volume, &target, &staging).await,
        [is("MountMissing", Bad::Inaccessible)],
        "the pod's"
    );
    run("umount", &[staging.to_str().unwrap()]);
    let gone = ills(&kubelet, &volume, nowhere, nowhere).await;
    assert_eq!(gone, [is("MountMissing", Bad::Inaccessible)], "the node knows what it has mounted");
    kubelet.stage(&volume, &staging, &wanted).await.unwrap();
    assert_eq!(ills(&kubelet, &volume, nowhere, &staging).await, []);

    // The disk is pulled out; nobody has unstaged it.
    rig.pull(&volume, 0);
    let lost = ills(&kubelet, &volume, nowhere, &staging).await;
    assert_eq!(lost, [is("DiskMissing", Bad::Inaccessible)]);
    let backend = kubelet.storage_health().await.unwrap();
    assert_eq!(backend.len(), 1);
    assert_eq!(
        (backend[0].status, &*backend[0].reason),
        (Backend::StorageDegraded.into(), "SomeDisksDoNotAnswer")
    );
    rig.push(&volume, 0);
    assert_eq!(ills(&kubelet, &volume, nowhere, &staging).await, [], "what is over is not told any more");
    kubelet.unpublish(&volume, &target).await.unwrap();
    kubelet.unstage(&volume, &staging).await.unwrap();

    rig.detach(&volume, 0).await;
    refused(kubelet.health(&volume, nowhere, nowhere).await, Code::NotFound, &volume.id);
    let named = ills(&kubelet, &volume, nowhere, &staging).await;
    assert_eq!(named, [is("DiskMissing", Bad::Inaccessible)], "the kubelet tried to stage it");
    let none = Volume::default();
    refused(kubelet.health(&none, nowhere, nowhere).await, Code::InvalidArgument, "volume_id");
    refused(
        kubelet.health(&volume, Path::new("a/b"), nowhere).await,
        Code::InvalidArgument,
        "volume_publish_path",
    );
    rig.end().await;
}

#[tokio::test]
async fn two_lost_disks_of_two_are_a_lost_backend() {
    let rig = Rig::start(1).await;
    let kubelet = rig.kubelet(0);
    let mut volumes = Vec::new();
    for name in ["pvc-one", "pvc-two"] {
        let volume = rig.volume(name, 0).await;
        kubelet.stage(&volume, &rig.path(name), &VolumeUse::block()).await.unwrap();
        volumes.push((volume, rig.path(name)));
    }
    assert!(kubelet.storage_health().await.unwrap().is_empty());
    volumes.iter().for_each(|(volume, _)| rig.pull(volume, 0));
    let backend = kubelet.storage_health().await.unwrap();
    assert_eq!(
        (backend[0].status, &*backend[0].reason),
        (Backend::StorageUnreachable.into(), "NoDiskAnswers")
    );
    for (volume, staging) in &volumes {
        rig.push(volume, 0);
        kubelet.unstage(volume, staging).await.unwrap();
    }
    assert!(kubelet.storage_health().await.unwrap().is_empty());
    rig.end().await;
}

#[tokio::test]
async fn a_file_system_that_the_kernel_gave_up_is_told_and_not_taken_for_staged() {
    let rig = Rig::start(1).await;
    let (kubelet, nowhere) = (rig.kubelet(0), Path::new(NOWHERE));
    let (ext, xfs) = (rig.volume("pvc-ext", 0).await, rig.volume("pvc-xfs", 0).await);
    let (at, shut) = (rig.path("ext"), rig.path("xfs"));
    let wanted = VolumeUse { mount_flags: vec!["errors=remount-ro".into()], ..VolumeUse::mount("ext4") };
    kubelet.stage(&ext, &at, &wanted).await.unwrap();
    kubelet.stage(&xfs, &shut, &VolumeUse::mount("xfs")).await.unwrap();

    let name = rig.device(&ext, 0).trim_start_matches("/dev/").to_owned();
    std::fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "a test").unwrap();
    assert!(std::fs::write(at.join("file"), "x").is_err(), "the kernel was to stop writes");
    let found = ills(&kubelet, &ext, nowhere, &at).await;
    assert_eq!(found, [is("FileSystemReadOnly", Bad::Degraded), is("FileSystemErrors", Bad::Degraded)]);
    // Linux 6.15 and newer do not show `ro` for it.
    refused(kubelet.stage(&ext, &at, &wanted).await, Code::AlreadyExists, "read-only");
    kubelet.unstage(&ext, &at).await.unwrap();
    kubelet.stage(&ext, &at, &wanted).await.unwrap();
    assert_eq!(ills(&kubelet, &ext, nowhere, &at).await, [], "checked and mounted anew");

    run("xfs_io", &["-x", "-c", "shutdown", shut.to_str().unwrap()]);
    let found = ills(&kubelet, &xfs, nowhere, &shut).await;
    assert_eq!(found, [is("FileSystemFailed", Bad::Inaccessible)]);
    for (volume, staging) in [(&ext, &at), (&xfs, &shut)] {
        kubelet.unstage(volume, staging).await.unwrap();
    }
    rig.end().await;
}
