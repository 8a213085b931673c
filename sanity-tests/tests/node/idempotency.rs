//! What the kubelet does with volumes: twice, differently, for several pods, across a SIGKILL.

use std::io::Write as _;
use std::time::Duration;

use proto::csi::v1::volume_capability::access_mode::Mode;
use sanity_tests::kubelet::VolumeUse;
use sanity_tests::process::{Process, get};
use sanity_tests::sidecar::{Reply, Request};
use tonic::Code;

use super::rig::{Rig, refused, run};

#[tokio::test]
async fn every_call_twice_is_once() {
    let rig = Rig::start(1).await;
    let (kubelet, volume, wanted) =
        (rig.kubelet(0), rig.volume("pvc-twice", 0).await, VolumeUse::mount("ext4"));
    let (staging, target) = (rig.path("globalmount"), rig.path("盘 pod with spaces"));
    for _ in 0..2 {
        kubelet.stage(&volume, &staging, &wanted).await.unwrap();
    }
    for _ in 0..2 {
        kubelet.publish(&volume, &staging, &target, &wanted).await.unwrap();
    }
    let table = run("findmnt", &["-n", "-r", "-o", "TARGET"]);
    let ours = table.lines().filter(|line| line.contains("globalmount") || line.contains("pod")).count();
    assert_eq!(ours, 2, "{table}");
    let usage = kubelet.stats(&volume, &target).await.unwrap();
    assert_eq!(usage.len(), 2);
    assert!(usage[0].total > 19 << 30 && usage[0].available > 0 && usage[1].total > 0, "{usage:?}");
    refused(kubelet.stage(&volume, &staging, &VolumeUse::mount("xfs")).await, Code::AlreadyExists, "as ext4");
    let reader = VolumeUse { read_only: true, ..wanted.clone() };
    refused(
        kubelet.publish(&volume, &staging, &target, &reader).await,
        Code::AlreadyExists,
        "must be unpublished first",
    );
    for _ in 0..2 {
        kubelet.unpublish(&volume, &target).await.unwrap();
    }
    assert!(!target.exists());
    for _ in 0..2 {
        kubelet.unstage(&volume, &staging).await.unwrap();
    }
    rig.end().await;
}

#[tokio::test]
async fn a_volume_that_is_still_held_is_not_unstaged() {
    let rig = Rig::start(1).await;
    let (kubelet, volume, wanted) =
        (rig.kubelet(0), rig.volume("pvc-held", 0).await, VolumeUse::mount("ext4"));
    let (staging, target) = (rig.path("globalmount"), rig.path("pod"));
    kubelet.stage(&volume, &staging, &wanted).await.unwrap();
    kubelet.publish(&volume, &staging, &target, &wanted).await.unwrap();
    let text = refused(kubelet.unstage(&volume, &staging).await, Code::Unavailable, "still in use");
    assert!(text.contains("kubelet/pod"), "{text}");
    // The cloud does not take it from the machine either.
    let (volume_id, node) = (volume.id.clone(), rig.stack.nodes[0].id.clone());
    let request = Request::Unpublish { volume: volume_id, node };
    let once = rig.stack.sidecar().call_once(&request, 0, Duration::from_secs(20)).await;
    refused(once, Code::Unavailable, "still uses it");
    // An open file keeps the mount.
    let mut file = std::fs::File::create(target.join("open")).unwrap();
    file.write_all(b"x").unwrap();
    refused(kubelet.unpublish(&volume, &target).await, Code::Unavailable, "in use");
    drop(file);
    kubelet.unpublish(&volume, &target).await.unwrap();
    kubelet.unstage(&volume, &staging).await.unwrap();
    rig.detach(&volume, 0).await;
    rig.end().await;
}

#[tokio::test]
async fn pods_share_a_volume_or_have_it_alone_as_asked() {
    let rig = Rig::start(1).await;
    let (kubelet, volume) = (rig.kubelet(0), rig.volume("pvc-share", 0).await);
    let wanted =
        VolumeUse { mount_flags: vec!["noatime".into(), "nosuid,nodev".into()], ..VolumeUse::mount("xfs") };
    let (staging, writer, reader) = (rig.path("globalmount"), rig.path("writer"), rig.path("reader"));
    kubelet.stage(&volume, &staging, &wanted).await.unwrap();
    kubelet.publish(&volume, &staging, &writer, &wanted).await.unwrap();
    let only_read = VolumeUse { read_only: true, ..wanted.clone() };
    kubelet.publish(&volume, &staging, &reader, &only_read).await.unwrap();
    std::fs::write(writer.join("file"), "shared").unwrap();
    assert_eq!(std::fs::read_to_string(reader.join("file")).unwrap(), "shared");
    assert!(std::fs::write(reader.join("file"), "no").is_err(), "a read-only pod wrote");
    let options = run("findmnt", &["-n", "-o", "OPTIONS", reader.to_str().unwrap()]);
    for option in ["ro", "noatime", "nosuid", "nodev"] {
        assert!(options.split(',').any(|o| o == option), "{options} lacks {option}");
    }
    // SINGLE_NODE_MULTI_WRITER: any number of writers on the node.
    let many = VolumeUse { mode: Mode::SingleNodeMultiWriter.into(), ..wanted.clone() };
    let more = [rig.path("more-1"), rig.path("more-2")];
    for target in &more {
        kubelet.publish(&volume, &staging, target, &many).await.unwrap();
        std::fs::write(target.join("file"), "shared").unwrap();
    }
    for target in &more {
        kubelet.unpublish(&volume, target).await.unwrap();
    }
    let alone = VolumeUse { mode: Mode::SingleNodeSingleWriter.into(), ..wanted.clone() };
    let second = kubelet.publish(&volume, &staging, &rig.path("third"), &alone).await;
    refused(second, Code::FailedPrecondition, "SINGLE_NODE_SINGLE_WRITER");
    kubelet.unpublish(&volume, &reader).await.unwrap();
    kubelet.unpublish(&volume, &writer).await.unwrap();
    kubelet.publish(&volume, &staging, &rig.path("third"), &alone).await.unwrap();
    kubelet.unpublish(&volume, &rig.path("third")).await.unwrap();
    kubelet.unstage(&volume, &staging).await.unwrap();
    rig.end().await;
}

#[tokio::test]
async fn a_block_volume_keeps_every_byte_and_grows() {
    let rig = Rig::start(2).await;
    let (kubelet, mut volume, wanted) =
        (rig.kubelet(0), rig.volume("pvc-block", 0).await, VolumeUse::block());
    let (staging, target) = (rig.path("staging"), rig.path("device"));
    kubelet.stage(&volume, &staging, &wanted).await.unwrap();
    for _ in 0..2 {
        kubelet.publish(&volume, &staging, &target, &wanted).await.unwrap();
    }
    let text = target.to_str().unwrap();
    run("dd", &["if=/dev/urandom", &format!("of={text}"), "bs=1M", "count=8", "conv=fsync,notrunc"]);
    let sum = |path: &str| run("sh", &["-c", &format!("head -c 8388608 {path} | sha256sum")]);
    let written = sum(text);
    let reply = rig.call(Request::Expand { volume: volume.id.clone(), gib: 25 }).await.unwrap();
    assert_eq!(reply, Reply::Expanded { bytes: 25 << 30 });
    assert_eq!(kubelet.expand(&volume, &target, 25 << 30).await.unwrap(), 25 << 30);
    assert_eq!(kubelet.stats(&volume, &target).await.unwrap()[0].total, 25 << 30);
    kubelet.unpublish(&volume, &target).await.unwrap();
    kubelet.unstage(&volume, &staging).await.unwrap();
    rig.detach(&volume, 0).await;
    rig.attach(&mut volume, 1).await;
    let other = rig.kubelet(1);
    // As a file system it would be formatted only if it were blank.
    let error = other.stage(&volume, &staging, &VolumeUse::mount("ext4")).await;
    refused(error, Code::FailedPrecondition, "neither formatted nor mounted");
    other.stage(&volume, &staging, &wanted).await.unwrap();
    other.publish(&volume, &staging, &target, &wanted).await.unwrap();
    assert_eq!(sum(text), written);
    other.unpublish(&volume, &target).await.unwrap();
    other.unstage(&volume, &staging).await.unwrap();
    rig.detach(&volume, 1).await;
    rig.end().await;
}

#[tokio::test]
async fn a_disk_that_was_grown_while_away_is_filled_when_it_is_staged() {
    let rig = Rig::start(1).await;
    let (kubelet, mut volume, wanted) =
        (rig.kubelet(0), rig.volume("pvc-grow", 0).await, VolumeUse::mount("xfs"));
    let (staging, target) = (rig.path("globalmount"), rig.path("pod"));
    kubelet.stage(&volume, &staging, &wanted).await.unwrap();
    kubelet.unstage(&volume, &staging).await.unwrap();
    rig.detach(&volume, 0).await;
    rig.call(Request::Expand { volume: volume.id.clone(), gib: 40 }).await.unwrap();
    rig.attach(&mut volume, 0).await;
    kubelet.stage(&volume, &staging, &wanted).await.unwrap();
    kubelet.publish(&volume, &staging, &target, &wanted).await.unwrap();
    let total = kubelet.stats(&volume, &target).await.unwrap()[0].total;
    assert!(total > 39 << 30, "{total}");
    // The kernel shows 40 GiB, and more was asked for: never success before it is there.
    let kubelet_again = kubelet.clone();
    let early =
        tokio::time::timeout(Duration::from_millis(300), kubelet_again.expand(&volume, &target, 50 << 30));
    assert!(early.await.is_err(), "an expansion that has not happened was reported as done");
    rig.call(Request::Expand { volume: volume.id.clone(), gib: 50 }).await.unwrap();
    // The retry joins the call that the caller gave up, which has been waiting for the kernel's event.
    assert_eq!(kubelet.expand(&volume, &target, 50 << 30).await.unwrap(), 50 << 30);
    let total = kubelet.stats(&volume, &target).await.unwrap()[0].total;
    assert!(total > 49 << 30, "{total}");
    kubelet.unpublish(&volume, &target).await.unwrap();
    kubelet.unstage(&volume, &staging).await.unwrap();
    rig.end().await;
}

#[tokio::test]
async fn a_node_that_was_killed_picks_up_where_it_was() {
    let mut rig = Rig::start(1).await;
    let (kubelet, volume, wanted) =
        (rig.kubelet(0), rig.volume("pvc-kill", 0).await, VolumeUse::mount("ext4"));
    let (staging, target) = (rig.path("globalmount"), rig.path("pod"));
    kubelet.stage(&volume, &staging, &wanted).await.unwrap();
    kubelet.publish(&volume, &staging, &target, &wanted).await.unwrap();
    std::fs::write(target.join("file"), "kept").unwrap();
    rig.stack.nodes[0].process.kill().unwrap();
    // Pods keep running without the driver.
    assert_eq!(std::fs::read_to_string(target.join("file")).unwrap(), "kept");
    rig.stack.restart_node(0).await.unwrap();
    let kubelet = rig.kubelet(0);
    kubelet.stage(&volume, &staging, &wanted).await.unwrap();
    kubelet.publish(&volume, &staging, &target, &wanted).await.unwrap();
    assert_eq!(std::fs::read_to_string(target.join("file")).unwrap(), "kept");
    kubelet.unpublish(&volume, &target).await.unwrap();
    kubelet.unstage(&volume, &staging).await.unwrap();
    rig.end().await;
}

#[tokio::test]
async fn a_file_system_that_the_kernel_lacks_is_refused_before_the_disk_is_touched() {
    let rig = Rig::start(1).await;
    let (kubelet, volume) = (rig.kubelet(0), rig.volume("pvc-vfat", 0).await);
    let staging = rig.path("globalmount");
    let known = std::fs::read_to_string("/proc/filesystems").unwrap();
    let staged = kubelet.stage(&volume, &staging, &VolumeUse::mount("vfat")).await;
    if known.lines().any(|line| line.trim() == "vfat") {
        staged.unwrap();
        kubelet.unstage(&volume, &staging).await.unwrap();
    } else {
        refused(staged, Code::FailedPrecondition, "cannot mount vfat");
        // Blank as before: the next file system finds it so.
        kubelet.stage(&volume, &staging, &VolumeUse::mount("ext3")).await.unwrap();
        kubelet.unstage(&volume, &staging).await.unwrap();
    }
    rig.end().await;
}

#[tokio::test]
async fn sigterm_finishes_what_runs() {
    let mut rig = Rig::start(1).await;
    let (kubelet, volume, wanted) =
        (rig.kubelet(0), rig.volume("pvc-term", 0).await, VolumeUse::mount("xfs"));
    let staging = rig.path("globalmount");
    // The disk is taken away, so the stage waits for it until the disk comes back.
    rig.detach(&volume, 0).await;
    let waiting = tokio::spawn({
        let (kubelet, volume, staging) = (kubelet.clone(), volume.clone(), staging.clone());
        async move { kubelet.stage(&volume, &staging, &wanted).await }
    });
    let process = &mut rig.stack.nodes[0].process;
    let admin = process.ready(Duration::from_secs(10)).await.unwrap();
    let runs = async || get(admin, "/metrics").await.unwrap().contains("grpc_server_running 1").then_some(());
    process.until("running stage", Duration::from_secs(10), runs).await.unwrap();
    assert!(!waiting.is_finished());
    let mut again = volume.clone();
    let sidecar = rig.stack.sidecar();
    let process: &mut Process = &mut rig.stack.nodes[0].process;
    let stop = async { process.stop(Duration::from_secs(20)).await.unwrap() };
    // SIGTERM comes first, then the disk; the stage ends well and then the program.
    let (status, ()) = tokio::join!(stop, async {
        let request =
            Request::Publish { volume: again.id.clone(), node: "zj-shaoxing-2/evm-zjshaoxing21".into() };
        let reply = sidecar.call(&request, &Default::default(), |_| ()).await.unwrap();
        let Reply::Published(context) = reply else { panic!("not published") };
        again.publish_context = context;
    });
    assert!(status.success(), "{status}");
    waiting.await.unwrap().unwrap();
    rig.stack.restart_node(0).await.unwrap();
    rig.kubelet(0).unstage(&again, &staging).await.unwrap();
    rig.end().await;
}
