//! What a StorageClass says of its volumes' file systems: how they are made, checked, and how they give space back.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use sanity_tests::kubelet::{Volume, VolumeUse};
use sanity_tests::sidecar::{Claim, Request};
use tonic::Code;

use super::rig::{Rig, refused, run};

fn of_class(volume: &Volume, pairs: &[(&str, &str)]) -> Volume {
    let mut volume = volume.clone();
    volume.context.extend(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    volume
}

/// The file under the volume's loop device.
fn backing(rig: &Rig, volume: &Volume) -> PathBuf {
    let name = rig.device(volume, 0).trim_start_matches("/dev/").to_owned();
    std::fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).unwrap().trim().into()
}

fn kib(rig: &Rig, volume: &Volume) -> u64 {
    run("du", &["-k", backing(rig, volume).to_str().unwrap()]).split('\t').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_class_is_refused_by_key_value_and_what_is_allowed_before_a_disk_is_ordered() {
    let rig = Rig::start(1).await;
    for (key, value, words) in [
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
        println!("{}", refused(rig.call(Request::Create(claim)).await, Code::InvalidArgument, words));
    }
    // A PV written by hand comes to the node alone.
    let (kubelet, volume) = (rig.kubelet(0), rig.volume("pvc-hand", 0).await);
    let bad = of_class(&volume, &[("mkfsOptions", "clusterSize=4096")]);
    let staged = kubelet.stage(&bad, &rig.path("globalmount"), &VolumeUse::mount("xfs")).await;
    refused(staged, Code::InvalidArgument, "volume_context.mkfsOptions");
    rig.end().await;
}

#[tokio::test]
async fn file_systems_are_made_as_the_class_says() {
    let rig = Rig::start(1).await;
    let (kubelet, staging) = (rig.kubelet(0), rig.path("globalmount"));
    let cases = [
        ("ext4", "blockSize=2048,inodeSize=512,bytesPerInode=65536,reservedPercent=3"),
        ("ext3", "blockSize=1024"),
        ("xfs", "blockSize=2048,inodeSize=1024,reflink=0,bigtime=0,inodePercent=7"),
        ("xfs", "blockSize=1024,inodeSize=512"),
    ];
    for (number, (fs, options)) in cases.into_iter().enumerate() {
        let volume = rig.volume(&format!("pvc-{number}"), 0).await;
        let device = rig.device(&volume, 0);
        let wanted = of_class(&volume, &[("mkfsOptions", options)]);
        kubelet.stage(&wanted, &staging, &VolumeUse::mount(fs)).await.unwrap();
        let shown = match fs {
            "xfs" => run("xfs_info", &[staging.to_str().unwrap()]),
            _ => run("tune2fs", &["-l", &device]),
        };
        let has: &[&str] = match number {
            0 => &[
                "Block size:               2048",
                "Inode size:\t          512",
                "Reserved block count:     314572",
            ],
            1 => &["Block size:               1024"],
            2 => &["bsize=2048 ", "isize=1024 ", "reflink=0", "bigtime=0", "imaxpct=7"],
            _ => &["bsize=1024 ", "isize=512 "],
        };
        for words in has {
            assert!(shown.contains(words), "{fs} {options}: no {words:?} in\n{shown}");
        }
        kubelet.unstage(&volume, &staging).await.unwrap();
        // Found again as what it is.
        kubelet.stage(&wanted, &staging, &VolumeUse::mount(fs)).await.unwrap();
        kubelet.unstage(&volume, &staging).await.unwrap();
    }
    rig.end().await;
}

#[tokio::test]
async fn a_damaged_file_system_is_repaired_refused_or_mounted_as_the_class_says() {
    let rig = Rig::start(1).await;
    let (kubelet, volume, wanted) =
        (rig.kubelet(0), rig.volume("pvc-fsck", 0).await, VolumeUse::mount("ext4"));
    let (staging, device) = (rig.path("globalmount"), rig.device(&volume, 0));
    kubelet.stage(&volume, &staging, &wanted).await.unwrap();
    std::fs::write(staging.join("file"), "kept").unwrap();
    kubelet.unstage(&volume, &staging).await.unwrap();
    // A wrong count of links, and the kernel's note that it met an error.
    run("debugfs", &["-w", "-R", "set_inode_field file links_count 5", &device]);
    run("debugfs", &["-w", "-R", "set_super_value state 2", &device]);
    run("blockdev", &["--flushbufs", &device]);
    // All that is not a hole.
    let sum = || run("sh", &["-c", &format!("head -c 67108864 {device} | sha256sum")]);
    let before = sum();
    let checked = of_class(&volume, &[("fsckPolicy", "check")]);
    let staged = kubelet.stage(&checked, &staging, &wanted).await;
    println!("{}", refused(staged, Code::FailedPrecondition, "fsckPolicy check repairs nothing"));
    assert_eq!(sum(), before, "a check wrote to the disk");
    let ills = kubelet.health(&volume, &PathBuf::new(), &staging).await.unwrap();
    assert_eq!(ills[0].reason, "FileSystemErrors");

    let unchecked = of_class(&volume, &[("fsckPolicy", "none")]);
    kubelet.stage(&unchecked, &staging, &wanted).await.unwrap();
    kubelet.unstage(&volume, &staging).await.unwrap();
    let state = || run("dumpe2fs", &["-h", &device]);
    assert!(state().contains("errors"), "with none it was to be left as it is:\n{}", state());

    kubelet.stage(&volume, &staging, &wanted).await.unwrap();
    assert_eq!(std::fs::read_to_string(staging.join("file")).unwrap(), "kept");
    kubelet.unstage(&volume, &staging).await.unwrap();
    assert!(state().contains("Filesystem state:         clean\n"), "{}", state());
    kubelet.stage(&checked, &staging, &wanted).await.unwrap();
    kubelet.unstage(&volume, &staging).await.unwrap();
    rig.end().await;
}

#[tokio::test]
async fn freed_space_is_given_back_at_once_weekly_or_not_at_all() {
    const MIB: usize = 1 << 20;
    let mut rig = Rig::start(1).await;
    let (kubelet, wanted) = (rig.kubelet(0), VolumeUse::mount("ext4"));
    let mut staged = Vec::new();
    for policy in ["none", "mount", "periodic"] {
        let volume = rig.volume(&format!("pvc-{policy}"), 0).await;
        let staging = rig.path(policy);
        kubelet.stage(&of_class(&volume, &[("discard", policy)]), &staging, &wanted).await.unwrap();
        let options = run("findmnt", &["-n", "-o", "OPTIONS", staging.to_str().unwrap()]);
        assert_eq!(options.split(',').any(|o| o == "discard"), policy == "mount", "{policy}: {options}");
        let empty = kib(&rig, &volume);
        std::fs::write(staging.join("large"), vec![7; 128 * MIB]).unwrap();
        run("sync", &["-f", staging.to_str().unwrap()]);
        std::fs::remove_file(staging.join("large")).unwrap();
        run("sync", &["-f", staging.to_str().unwrap()]);
        // Half of it, for what the file system has written for itself meanwhile.
        staged.push((volume, staging, empty + (64 << 10)));
    }
    let small = |rig: &Rig, (volume, _, limit): &(Volume, PathBuf, u64)| kib(rig, volume) < *limit;
    let marks = rig.path("..").join("evm-zjshaoxing21/trim");
    let marked: Vec<_> = std::fs::read_dir(&marks).unwrap().flatten().collect();
    assert_eq!(marked.len(), 1, "{marked:?}");
    assert!(!small(&rig, &staged[0]) && !small(&rig, &staged[2]));

    // A week later the program, started anew meanwhile, still knows.
    run("touch", &["-d", "8 days ago", marked[0].path().to_str().unwrap()]);
    rig.stack.nodes[0].process.kill().unwrap();
    rig.stack.restart_node(0).await.unwrap();
    let (name, limit) = (backing(&rig, &staged[2].0), staged[2].2);
    let trimmed = async || {
        let kib = run("du", &["-k", name.to_str().unwrap()]);
        (kib.split('\t').next().unwrap().parse::<u64>().unwrap() < limit).then_some(())
    };
    rig.stack.nodes[0].process.until("trim", Duration::from_secs(20), trimmed).await.unwrap();
    assert!(!small(&rig, &staged[0]), "nobody asked for that volume to be trimmed");
    assert!(small(&rig, &staged[1]), "discard gives back at once");
    let kubelet = rig.kubelet(0);
    for (volume, staging, _) in &staged {
        kubelet.unstage(volume, staging).await.unwrap();
    }
    assert_eq!(std::fs::read_dir(&marks).unwrap().count(), 0, "an unstaged volume is trimmed no more");
    rig.end().await;
}
