//! Many disks on one machine.

use crate::edge::guest::Image;
use crate::edge::site::{Site, mount, staging_path, target_path, unmount};
use crate::kubelet::VolumeUse;
use crate::rig::{Error, ensure};

/// Disks that can be attached to a machine (guide 4.3).
const HUNDRED: usize = 100;

/// The machine reboots with its disks in another order: vda is another disk, and each volume still has its own data.
pub(super) async fn other_boot_order(image: &Image) -> Result<String, Error> {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let kubelet = guest.kubelet().await?;
    let mut volumes = Vec::new();
    for n in 0..5 {
        let mut volume = site.create(&format!("pvc-{n}"), "ext4").await?;
        site.attach(&mut volume, 0).await?;
        mount(&kubelet, &volume, &VolumeUse::mount("ext4")).await?;
        guest.sh(&format!("echo {} >{}/id; sync", volume.id, target_path(&volume).display()))?;
        volumes.push(volume);
    }
    let list_disks = "for b in /sys/block/vd*; do echo ${b##*/} $(busybox cat $b/serial); done";
    let before = guest.sh(list_disks)?;
    guest.power_off();
    let guest = site.boot(0, true)?;
    let after = guest.sh(list_disks)?;
    ensure(before != after, format!("the order is the same: {after}"))?;
    let kubelet = guest.kubelet().await?;
    for volume in &volumes {
        mount(&kubelet, volume, &VolumeUse::mount("ext4")).await?;
        let read = guest.sh(&format!("busybox cat {}/id", target_path(volume).display()))?;
        ensure(read == volume.id, format!("{} shows {read:?}", volume.id))?;
        unmount(&kubelet, volume).await?;
    }
    Ok("5 disks, each under its own volume".to_owned())
}

/// A hundred disks: most are block volumes, some have a file system.
pub(super) async fn hundred_disks(image: &Image) -> Result<String, Error> {
    let site = Site::start(image, HUNDRED + 4).await?;
    let guest = site.boot(0, false)?;
    let kubelet = guest.kubelet().await?;
    let max_volumes = kubelet.info().await?.max_volumes_per_node;
    ensure(max_volumes == 100, format!("the node reports a limit of {max_volumes} volumes"))?;
    let mut volumes = Vec::new();
    for n in 0..HUNDRED {
        let mut volume = site.create(&format!("pvc-{n}"), "ext4").await?;
        site.attach(&mut volume, 0).await?;
        volumes.push(volume);
    }
    // The guest's kernel adds them one by one, after QEMU has reported them as plugged.
    let count =
        "for b in /sys/block/vd*; do echo $(busybox cat $b/serial); done | busybox sort -u | busybox wc -l";
    let shown = guest.sh(&format!(
        "n=0; until test $({count}) = 100 || test $n = 600; do busybox sleep 0.2; n=$((n+1)); done; {count}"
    ))?;
    if shown != "100" {
        let kernel = guest.sh("busybox dmesg | busybox tail -n 12")?;
        return Err(Error::check(format!("the guest shows {shown} disks; its kernel says: {kernel}")));
    }
    for (n, volume) in volumes.iter().enumerate() {
        let volume_use = if n % 20 == 0 { VolumeUse::mount("ext4") } else { VolumeUse::block() };
        mount(&kubelet, volume, &volume_use).await?;
    }
    let devices = guest.sh("busybox find /var/lib/kubelet/pods -type b | busybox wc -l")?;
    ensure(devices == "95", format!("{devices} pods have a device"))?;
    for volume in &volumes {
        kubelet.unpublish(volume, &target_path(volume)).await?;
        kubelet.unstage(volume, &staging_path(volume)).await?;
        site.detach(volume, 0).await?;
    }
    let left = guest.sh("busybox ls /sys/block | busybox grep -c '^vd' || true")?;
    ensure(left == "0", format!("{left} disks are left"))?;
    Ok("95 as devices, 5 with ext4".to_owned())
}
