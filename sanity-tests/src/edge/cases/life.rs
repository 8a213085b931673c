//! What happens to a volume on a machine that works.

use std::time::Duration;

use ecx_sim::plane::guest::Guests;

use super::Seen;
use crate::edge::guest::Image;
use crate::edge::site::{MACHINES, Site, Trouble, mount, must, published, staged, unmount};
use crate::kubelet::VolumeUse;

/// Every file system that a class can name: written on one machine, read on another.
pub(super) async fn from_machine_to_machine(image: &Image) -> Seen {
    let site = Site::start(image, 8).await?;
    let (first, second) = (site.boot(0, false)?, site.boot(1, false)?);
    let (here, there) = (first.kubelet().await?, second.kubelet().await?);
    let mut seen = Vec::new();
    for fs in ["ext4", "ext3", "xfs", "vfat"] {
        let mut volume = site.create(&format!("pvc-{fs}"), fs).await?;
        site.attach(&mut volume, 0).await?;
        mount(&here, &volume, &VolumeUse::mount(fs)).await?;
        let path = published(&volume);
        first.sh(&format!("echo {fs} >{}/file", path.display()))?;
        let shown =
            first.sh(&format!("busybox awk '$2 == \"{}\" {{print $3}}' /proc/mounts", path.display()))?;
        must(shown == fs, format!("{fs} is mounted as {shown:?}"))?;
        unmount(&here, &volume).await?;
        site.detach(&volume, 0).await?;
        site.attach(&mut volume, 1).await?;
        mount(&there, &volume, &VolumeUse::mount(fs)).await?;
        let read = second.sh(&format!("busybox cat {}/file", path.display()))?;
        must(read == fs, format!("{fs}: the other machine reads {read:?}"))?;
        unmount(&there, &volume).await?;
        site.detach(&volume, 1).await?;
        seen.push(fs);
    }
    Ok(seen.join(", "))
}

/// The cloud makes a disk larger, the guest sees it, and the mounted file system grows.
pub(super) async fn grows(image: &Image) -> Seen {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let kubelet = guest.kubelet().await?;
    for fs in ["ext4", "xfs"] {
        let mut volume = site.create(&format!("pvc-{fs}"), fs).await?;
        site.attach(&mut volume, 0).await?;
        mount(&kubelet, &volume, &VolumeUse::mount(fs)).await?;
        site.grow(&volume, 30).await?;
        let bytes = kubelet.expand(&volume, &published(&volume), 30 << 30).await?;
        must(bytes >= 30 << 30, format!("{fs}: {bytes} bytes are told"))?;
        let size = guest.mib(&published(&volume))?;
        must(size > 29 << 10, format!("{fs}: the file system has {size} MiB"))?;
        unmount(&kubelet, &volume).await?;
    }
    Ok("ext4 and xfs from 20 to 30 GiB, mounted".to_owned())
}

/// The machine reaches nothing at all (its network is only the tests' way in); its node program is killed, and the pods of what is
/// staged come and go.
pub(super) async fn cut_off(image: &Image) -> Seen {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let mut volume = site.create("pvc-1", "ext4").await?;
    site.attach(&mut volume, 0).await?;
    let wanted = VolumeUse::mount("ext4");
    mount(&guest.kubelet().await?, &volume, &wanted).await?;
    guest.sh(&format!("echo kept >{}/file; sync", published(&volume).display()))?;
    // Neither the cloud nor the controller is there any more.
    let (id, path) = (volume.id.clone(), published(&volume));
    drop(site);
    guest.sh("busybox killall -9 eck-csi-node; n=0; until busybox pgrep eck-csi-node && test -S /csi/csi.sock || test $n = 200; do busybox sleep 0.1; n=$((n+1)); done; busybox sleep 0.5")?;
    let kubelet = guest.kubelet().await?;
    kubelet.unpublish(&volume, &path).await?;
    let other = path.with_extension("second");
    kubelet.publish(&volume, &staged(&volume), &other, &wanted).await?;
    let read = guest.sh(&format!("busybox cat {}/file", other.display()))?;
    must(read == "kept", format!("{id}: the second pod reads {read:?}"))?;
    kubelet.unpublish(&volume, &other).await?;
    kubelet.unstage(&volume, &staged(&volume)).await?;
    Ok("a second pod had the data, and the volume was unstaged".to_owned())
}

/// The hypervisor takes a disk out while it is written to: the node tells it, lets go of it, and serves other volumes on.
pub(super) async fn torn_out(image: &Image) -> Seen {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let kubelet = guest.kubelet().await?;
    let mut seen = Vec::new();
    for fs in ["ext4", "xfs"] {
        let mut volume = site.create(&format!("pvc-{fs}"), fs).await?;
        site.attach(&mut volume, 0).await?;
        mount(&kubelet, &volume, &VolumeUse::mount(fs)).await?;
        let path = published(&volume);
        guest.sh(&format!(
            "busybox setsid sh -c 'echo $$ >/run/writer; while :; do echo x >>{0}/file && busybox sync; done' >/dev/null 2>&1 </dev/null & busybox sleep 0.5",
            path.display()
        ))?;
        let guests = Guests::new(site.nodes());
        let torn = guests.unplug(&volume.id, MACHINES[0].0)?;
        must(torn, "the guest does not let the disk go")?;
        let health = kubelet.health(&volume, &path, &staged(&volume)).await?;
        let health: Vec<String> = health.into_iter().map(|status| status.reason).collect();
        must(!health.is_empty(), format!("{fs}: the node says that the volume is well"))?;
        seen.push(format!("{fs}: {}", health.join(" and ")));
        // The pod ends, as it does when the kubelet takes it away.
        guest.sh("busybox kill -9 $(busybox cat /run/writer); busybox sleep 1")?;
        let left = tokio::time::timeout(Duration::from_secs(60), unmount(&kubelet, &volume)).await;
        left.map_err(|_| Trouble::new(format!("{fs}: it is not unmounted within a minute")))??;
    }
    let mut other = site.create("pvc-other", "ext4").await?;
    site.attach(&mut other, 0).await?;
    mount(&kubelet, &other, &VolumeUse::mount("ext4")).await?;
    unmount(&kubelet, &other).await?;
    Ok(seen.join("; "))
}
