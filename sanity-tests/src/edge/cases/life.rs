//! A volume on machines that keep running.

use std::time::Duration;

use ecx_sim::plane::guest::Guests;

use crate::edge::guest::Image;
use crate::edge::site::{MACHINES, Site, mount, staging_path, target_path, unmount};
use crate::kubelet::VolumeUse;
use crate::rig::{Error, ensure};

/// Every file system that a class can name: written on one machine, read on another.
pub(super) async fn from_machine_to_machine(image: &Image) -> Result<String, Error> {
    let site = Site::start(image, 8).await?;
    let (first, second) = (site.boot(0, false)?, site.boot(1, false)?);
    let (here, there) = (first.kubelet().await?, second.kubelet().await?);
    let mut observed = Vec::new();
    for fs in ["ext4", "ext3", "xfs", "vfat"] {
        let mut volume = site.create(&format!("pvc-{fs}"), fs).await?;
        site.attach(&mut volume, 0).await?;
        mount(&here, &volume, &VolumeUse::mount(fs)).await?;
        let path = target_path(&volume);
        first.sh(&format!("echo {fs} >{}/file", path.display()))?;
        let mounted =
            first.sh(&format!("busybox awk '$2 == \"{}\" {{print $3}}' /proc/mounts", path.display()))?;
        ensure(mounted == fs, format!("{fs} is mounted as {mounted:?}"))?;
        unmount(&here, &volume).await?;
        site.detach(&volume, 0).await?;
        site.attach(&mut volume, 1).await?;
        mount(&there, &volume, &VolumeUse::mount(fs)).await?;
        let read = second.sh(&format!("busybox cat {}/file", path.display()))?;
        ensure(read == fs, format!("{fs}: the other machine reads {read:?}"))?;
        unmount(&there, &volume).await?;
        site.detach(&volume, 1).await?;
        observed.push(fs);
    }
    Ok(observed.join(", "))
}

/// The cloud expands a disk, the guest sees the new size, and the mounted file system grows.
pub(super) async fn expand(image: &Image) -> Result<String, Error> {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let kubelet = guest.kubelet().await?;
    for fs in ["ext4", "xfs"] {
        let mut volume = site.create(&format!("pvc-{fs}"), fs).await?;
        site.attach(&mut volume, 0).await?;
        mount(&kubelet, &volume, &VolumeUse::mount(fs)).await?;
        site.expand(&volume, 30).await?;
        let bytes = kubelet.expand(&volume, &target_path(&volume), 30 << 30).await?;
        ensure(bytes >= 30 << 30, format!("{fs}: NodeExpandVolume returned {bytes} bytes"))?;
        let size = guest.file_system_mib(&target_path(&volume))?;
        ensure(size > 29 << 10, format!("{fs}: the file system has {size} MiB"))?;
        unmount(&kubelet, &volume).await?;
    }
    Ok("ext4 and xfs from 20 to 30 GiB, mounted".to_owned())
}

/// The machine has no connection to the cloud or the controller; its node program is killed and restarted; pods that use the
/// staged volume come and go.
pub(super) async fn without_network(image: &Image) -> Result<String, Error> {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let mut volume = site.create("pvc-1", "ext4").await?;
    site.attach(&mut volume, 0).await?;
    let volume_use = VolumeUse::mount("ext4");
    mount(&guest.kubelet().await?, &volume, &volume_use).await?;
    guest.sh(&format!("echo kept >{}/file; sync", target_path(&volume).display()))?;
    // Stops the cloud and the controller.
    let (id, path) = (volume.id.clone(), target_path(&volume));
    drop(site);
    guest.sh("busybox killall -9 eck-csi-node; n=0; until busybox pgrep eck-csi-node && test -S /csi/csi.sock || test $n = 200; do busybox sleep 0.1; n=$((n+1)); done; busybox sleep 0.5")?;
    let kubelet = guest.kubelet().await?;
    kubelet.unpublish(&volume, &path).await?;
    let other = path.with_extension("second");
    kubelet.publish(&volume, &staging_path(&volume), &other, &volume_use).await?;
    let read = guest.sh(&format!("busybox cat {}/file", other.display()))?;
    ensure(read == "kept", format!("{id}: the second pod reads {read:?}"))?;
    kubelet.unpublish(&volume, &other).await?;
    kubelet.unstage(&volume, &staging_path(&volume)).await?;
    Ok("a second pod had the data, and the volume was unstaged".to_owned())
}

/// The hypervisor unplugs a disk while it is written to: the node reports it, unstages the volume, and serves other volumes.
pub(super) async fn disk_unplugged(image: &Image) -> Result<String, Error> {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let kubelet = guest.kubelet().await?;
    let mut observed = Vec::new();
    for fs in ["ext4", "xfs"] {
        let mut volume = site.create(&format!("pvc-{fs}"), fs).await?;
        site.attach(&mut volume, 0).await?;
        mount(&kubelet, &volume, &VolumeUse::mount(fs)).await?;
        let path = target_path(&volume);
        guest.sh(&format!(
            "busybox setsid sh -c 'echo $$ >/run/writer; while :; do echo x >>{0}/file && busybox sync; done' >/dev/null 2>&1 </dev/null & busybox sleep 0.5",
            path.display()
        ))?;
        let guests = Guests::new(site.machines_folder());
        let unplugged = guests.unplug(&volume.id, MACHINES[0].0)?;
        ensure(unplugged, "the guest does not release the disk")?;
        let health = kubelet.health(&volume, &path, &staging_path(&volume)).await?;
        let health: Vec<String> = health.into_iter().map(|status| status.reason).collect();
        ensure(!health.is_empty(), format!("{fs}: the node reports no problem of the volume"))?;
        observed.push(format!("{fs}: {}", health.join(" and ")));
        // The pod ends, as it does when it is deleted.
        guest.sh("busybox kill -9 $(busybox cat /run/writer); busybox sleep 1")?;
        let unmounted = tokio::time::timeout(Duration::from_secs(60), unmount(&kubelet, &volume)).await;
        unmounted.map_err(|_| Error::check(format!("{fs}: it is not unmounted within a minute")))??;
    }
    let mut other = site.create("pvc-other", "ext4").await?;
    site.attach(&mut other, 0).await?;
    mount(&kubelet, &other, &VolumeUse::mount("ext4")).await?;
    unmount(&kubelet, &other).await?;
    Ok(observed.join("; "))
}
