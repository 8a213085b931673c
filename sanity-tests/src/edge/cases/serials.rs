//! The serial that a guest sees is not what was promised.

use ecx::api::Op;
use ecx_sim::{Effect, Fault};

use super::Seen;
use crate::edge::guest::Image;
use crate::edge::site::{Site, Trouble, mount, must, staged, unmount};
use crate::kubelet::{Kubelet, VolumeUse};

/// The next attach shows this serial.
fn shows(serial: &str) -> Fault {
    let effect = Effect::Serial { serial: serial.to_owned() };
    Fault { op: Some(Op::AttachDisk), contains: None, skip: 0, count: 1, effect }
}

/// Wrong, missing or cut too short: the disk is not found, and no other one is touched. The whole id cut at virtio's 20 bytes is
/// one of the forms that are looked for. Two disks with one serial: neither is touched.
pub(super) async fn all(image: &Image) -> Seen {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let kubelet = guest.kubelet().await?;
    let wanted = VolumeUse::mount("ext4");
    let mut seen = Vec::new();
    for (name, of) in [
        ("wrong", "other"),
        ("missing", "none"),
        ("cut too short", "short"),
        ("whole id, cut at 20", "whole"),
    ] {
        let mut volume = site.create(&format!("pvc-{of}"), "ext4").await?;
        let serial = match of {
            "other" => "zzzzzzzzzzzzzzzzzzzz".to_owned(),
            "short" => volume.id.trim_start_matches("cd-").chars().take(12).collect(),
            "whole" => volume.id.chars().take(20).collect(),
            _ => String::new(),
        };
        site.sim.fault(shows(&serial));
        site.attach(&mut volume, 0).await?;
        let told = kubelet.stage(&volume, &staged(&volume), &wanted).await;
        let file = site.file(&volume.id);
        if of == "whole" {
            told?;
            kubelet.unstage(&volume, &staged(&volume)).await?;
        } else {
            let refused = told.err().map(|status| status.code());
            must(
                refused == Some(tonic::Code::Unavailable),
                format!("{name}: staging ended with {refused:?}"),
            )?;
            must(untouched(&file)?, format!("{name}: the disk was written to"))?;
        }
        site.detach(&volume, 0).await?;
        seen.push(name);
    }
    doubled(&site, &kubelet).await?;
    seen.push("doubled");
    Ok(seen.join(", "))
}

/// Two disks show one serial: neither is touched until one of them is gone.
async fn doubled(site: &Site, kubelet: &Kubelet) -> Result<(), Trouble> {
    let wanted = VolumeUse::mount("ext4");
    let mut first = site.create("pvc-first", "ext4").await?;
    let mut second = site.create("pvc-second", "ext4").await?;
    site.attach(&mut first, 0).await?;
    site.sim.fault(shows(first.id.trim_start_matches("cd-")));
    site.attach(&mut second, 0).await?;
    let told = kubelet.stage(&first, &staged(&first), &wanted).await.err().map(|status| status.code());
    must(told == Some(tonic::Code::FailedPrecondition), format!("doubled: staging ended with {told:?}"))?;
    for volume in [&first, &second] {
        must(untouched(&site.file(&volume.id))?, "doubled: a disk was written to")?;
    }
    site.detach(&second, 0).await?;
    mount(kubelet, &first, &wanted).await?;
    unmount(kubelet, &first).await
}

/// Whether nothing was ever written to the disk: its file has no block.
fn untouched(file: &std::path::Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(std::fs::metadata(file)?.blocks() == 0)
}
