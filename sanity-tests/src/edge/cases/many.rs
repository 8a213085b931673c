//! Many disks on one machine.

use super::Seen;
use crate::edge::guest::Image;
use crate::edge::site::{Site, Trouble, mount, must, published, staged, unmount};
use crate::kubelet::VolumeUse;

/// Disks that a machine can have (guide 4.3).
const HUNDRED: usize = 100;

/// The power is cut, and the machine starts with its disks in another order: vda is another one, each volume is the same.
pub(super) async fn another_order(image: &Image) -> Seen {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let kubelet = guest.kubelet().await?;
    let mut volumes = Vec::new();
    for n in 0..5 {
        let mut volume = site.create(&format!("pvc-{n}"), "ext4").await?;
        site.attach(&mut volume, 0).await?;
        mount(&kubelet, &volume, &VolumeUse::mount("ext4")).await?;
        guest.sh(&format!("echo {} >{}/id; sync", volume.id, published(&volume).display()))?;
        volumes.push(volume);
    }
    let letters = "for b in /sys/block/vd*; do echo ${b##*/} $(busybox cat $b/serial); done";
    let before = guest.sh(letters)?;
    guest.cut();
    let guest = site.boot(0, true)?;
    let after = guest.sh(letters)?;
    must(before != after, format!("the order is the same: {after}"))?;
    let kubelet = guest.kubelet().await?;
    for volume in &volumes {
        mount(&kubelet, volume, &VolumeUse::mount("ext4")).await?;
        let read = guest.sh(&format!("busybox cat {}/id", published(volume).display()))?;
        must(read == volume.id, format!("{} shows {read:?}", volume.id))?;
        unmount(&kubelet, volume).await?;
    }
    Ok("5 disks, each under its own volume".to_owned())
}

/// A hundred disks, each a volume that pods have as a device, and some with a file system.
pub(super) async fn hundred(image: &Image) -> Seen {
    let site = Site::start(image, HUNDRED + 4).await?;
    let guest = site.boot(0, false)?;
    let kubelet = guest.kubelet().await?;
    let most = kubelet.info().await?.max_volumes_per_node;
    must(most == 100, format!("the node says that it can have {most}"))?;
    let mut volumes = Vec::new();
    for n in 0..HUNDRED {
        let mut volume = site.create(&format!("pvc-{n}"), "ext4").await?;
        site.attach(&mut volume, 0).await?;
        volumes.push(volume);
    }
    // The guest takes them in one after the other, after QEMU has said that they are plugged.
    let count =
        "for b in /sys/block/vd*; do echo $(busybox cat $b/serial); done | busybox sort -u | busybox wc -l";
    let shown = guest.sh(&format!(
        "n=0; until test $({count}) = 100 || test $n = 600; do busybox sleep 0.2; n=$((n+1)); done; {count}"
    ))?;
    if shown != "100" {
        let kernel = guest.sh("busybox dmesg | busybox tail -n 12")?;
        return Err(Trouble::new(format!("the guest shows {shown} disks; its kernel says: {kernel}")));
    }
    for (n, volume) in volumes.iter().enumerate() {
        let wanted = if n % 20 == 0 { VolumeUse::mount("ext4") } else { VolumeUse::block() };
        mount(&kubelet, volume, &wanted).await?;
    }
    let devices = guest.sh("busybox find /var/lib/kubelet/pods -type b | busybox wc -l")?;
    must(devices == "95", format!("{devices} pods have a device"))?;
    for volume in &volumes {
        kubelet.unpublish(volume, &published(volume)).await?;
        kubelet.unstage(volume, &staged(volume)).await?;
        site.detach(volume, 0).await?;
    }
    let left = guest.sh("busybox ls /sys/block | busybox grep -c '^vd' || true")?;
    must(left == "0", format!("{left} disks are left"))?;
    Ok("95 as devices, 5 with ext4".to_owned())
}
