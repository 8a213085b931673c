//! The serial that a guest sees is not the one that the cloud announced.

use ecx::api::Op;
use ecx_sim::{Effect, Fault};

use crate::edge::guest::Image;
use crate::edge::site::{Site, mount, staging_path, unmount};
use crate::kubelet::{Kubelet, VolumeUse};
use crate::rig::{Error, ensure};

/// The next disk that is attached has this serial.
fn wrong_serial(serial: &str) -> Fault {
    let effect = Effect::Serial { serial: serial.to_owned() };
    Fault { op: Some(Op::AttachDisk), contains: None, skip: 0, count: 1, effect }
}

/// With a wrong, missing or too short serial the disk is not found, and no other one is touched. The whole id cut at virtio's 20
/// bytes is one of the expected forms. Of two disks with the same serial neither is touched.
pub(super) async fn all(image: &Image) -> Result<String, Error> {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let kubelet = guest.kubelet().await?;
    let volume_use = VolumeUse::mount("ext4");
    let mut observed = Vec::new();
    for (name, kind) in [
        ("wrong", "other"),
        ("missing", "none"),
        ("cut too short", "short"),
        ("whole id, cut at 20", "whole"),
    ] {
        let mut volume = site.create(&format!("pvc-{kind}"), "ext4").await?;
        let serial = match kind {
            "other" => "zzzzzzzzzzzzzzzzzzzz".to_owned(),
            "short" => volume.id.trim_start_matches("cd-").chars().take(12).collect(),
            "whole" => volume.id.chars().take(20).collect(),
            _ => String::new(),
        };
        site.sim.fault(wrong_serial(&serial));
        site.attach(&mut volume, 0).await?;
        let staged = kubelet.stage(&volume, &staging_path(&volume), &volume_use).await;
        let file = site.disk_file(&volume.id);
        if kind == "whole" {
            staged?;
            kubelet.unstage(&volume, &staging_path(&volume)).await?;
        } else {
            let code = staged.err().map(|status| status.code());
            ensure(code == Some(tonic::Code::Unavailable), format!("{name}: staging ended with {code:?}"))?;
            ensure(untouched(&file)?, format!("{name}: the disk was written to"))?;
        }
        site.detach(&volume, 0).await?;
        observed.push(name);
    }
    duplicate(&site, &kubelet).await?;
    observed.push("duplicate");
    Ok(observed.join(", "))
}

/// Two disks have the same serial: neither is touched until one of them is detached.
async fn duplicate(site: &Site, kubelet: &Kubelet) -> Result<(), Error> {
    let volume_use = VolumeUse::mount("ext4");
    let mut first = site.create("pvc-first", "ext4").await?;
    let mut second = site.create("pvc-second", "ext4").await?;
    site.attach(&mut first, 0).await?;
    site.sim.fault(wrong_serial(first.id.trim_start_matches("cd-")));
    site.attach(&mut second, 0).await?;
    let staged = kubelet.stage(&first, &staging_path(&first), &volume_use).await;
    let code = staged.err().map(|status| status.code());
    ensure(code == Some(tonic::Code::FailedPrecondition), format!("duplicate: staging ended with {code:?}"))?;
    for volume in [&first, &second] {
        ensure(untouched(&site.disk_file(&volume.id))?, "duplicate: a disk was written to")?;
    }
    site.detach(&second, 0).await?;
    mount(kubelet, &first, &volume_use).await?;
    unmount(kubelet, &first).await
}

/// Whether nothing was ever written to the disk: its file has no blocks.
fn untouched(file: &std::path::Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(std::fs::metadata(file)?.blocks() == 0)
}
