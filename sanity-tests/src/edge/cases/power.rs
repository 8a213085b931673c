//! The power is cut during something. Afterwards nothing that was acknowledged is lost, and the next staging repairs what is
//! there or refuses it with a reason.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Status};

use crate::edge::guest::{Guest, Image};
use crate::edge::site::{Site, mount, staging_path, target_path};
use crate::kubelet::{Kubelet, Volume, VolumeUse};
use crate::rig::{Error, ensure};

/// The power is cut after this time at the latest: no call takes longer.
const LONGEST_CALL: Duration = Duration::from_secs(60);

/// Starts `call`, and cuts the power when the disk has completed so many writes. Returns whether the call had succeeded before.
async fn power_off_during<F>(guest: Guest, disk: &str, writes: u64, call: F) -> Result<bool, Error>
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let disk = disk.to_owned();
    let off = move || guest.power_off_after_writes(&disk, writes, LONGEST_CALL);
    let off = tokio::task::spawn_blocking(off);
    // The writes are counted before the call is sent.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let call = tokio::spawn(call);
    off.await.map_err(Error::check)??;
    let result = tokio::time::timeout(Duration::from_secs(30), call).await;
    Ok(matches!(result, Ok(Ok(Ok(())))))
}

fn stage(
    kubelet: Kubelet,
    volume: Volume,
    fs: &str,
) -> impl Future<Output = Result<(), Status>> + Send + use<> {
    let volume_use = VolumeUse::mount(fs);
    async move { kubelet.stage(&volume, &staging_path(&volume), &volume_use).await }
}

/// While the file system is made: the half-made one is made again, used, or refused with a reason.
pub(super) async fn during_mkfs(image: &Image) -> Result<String, Error> {
    let cuts = [("ext4", 1), ("ext4", 8), ("ext4", 60), ("xfs", 2), ("xfs", 10)];
    power_off_while_staging(image, &[], &HashMap::new(), &cuts).await
}

/// The same for volumes of a class with these parameters and secrets. A cut is a file system, and the writes after which the
/// power is cut.
pub(super) async fn power_off_while_staging(
    image: &Image,
    class: &[(&str, &str)],
    secrets: &HashMap<String, String>,
    cuts: &[(&str, u64)],
) -> Result<String, Error> {
    let (mut usable, mut refused) = (0, 0);
    for &(fs, writes) in cuts {
        let step = format!("{fs}, power cut after {writes} writes");
        let site = Site::start(image, 4).await?;
        let mut volume = site.create_with("pvc-1", &[&[("fsType", fs)], class].concat()).await?;
        volume.secrets.clone_from(secrets);
        let guest = site.boot(0, false)?;
        site.attach(&mut volume, 0).await?;
        let call = stage(guest.kubelet().await?, volume.clone(), fs);
        let was_staged = power_off_during(guest, &volume.id, writes, call).await?;
        let guest = site.boot(0, false)?;
        match mount(&guest.kubelet().await?, &volume, &VolumeUse::mount(fs)).await {
            Ok(()) => {
                usable += 1;
                let file = target_path(&volume).join("a");
                let read =
                    guest.sh(&format!("echo a >{0} && busybox sync && busybox cat {0}", file.display()))?;
                ensure(read == "a", format!("{step}: the file contains {read:?}"))?;
            }
            Err(error) => {
                refused += 1;
                ensure(!was_staged, format!("{step}: it was staged before, and now {error}"))?;
                let expected = matches!(error, Error::Status { code: Code::FailedPrecondition, .. });
                ensure(expected, format!("{step}: {error}"))?;
            }
        }
    }
    Ok(format!("{usable} usable afterwards, {refused} refused with a reason"))
}

/// While a journal is replayed by the next mount.
pub(super) async fn during_mount(image: &Image) -> Result<String, Error> {
    let mut cuts = 0;
    for fs in ["ext4", "xfs"] {
        let site = Site::start(image, 4).await?;
        let mut volume = site.create("pvc-1", fs).await?;
        let guest = site.boot(0, false)?;
        site.attach(&mut volume, 0).await?;
        mount(&guest.kubelet().await?, &volume, &VolumeUse::mount(fs)).await?;
        let file = target_path(&volume).join("file").display().to_string();
        guest.sh(&format!("echo kept >{file}; sync; busybox seq 1 2000 >{file}.more"))?;
        guest.power_off();
        for writes in [1, 4, 12] {
            let guest = site.boot(0, false)?;
            let call = stage(guest.kubelet().await?, volume.clone(), fs);
            power_off_during(guest, &volume.id, writes, call).await?;
            cuts += 1;
        }
        let guest = site.boot(0, false)?;
        mount(&guest.kubelet().await?, &volume, &VolumeUse::mount(fs)).await?;
        let read = guest.sh(&format!("busybox cat {file}"))?;
        ensure(read == "kept", format!("{fs}: the file contains {read:?}"))?;
    }
    Ok(format!("{cuts} power cuts, what was synced is there"))
}

/// While the file system is expanded.
pub(super) async fn during_expand(image: &Image) -> Result<String, Error> {
    let mut cuts = 0;
    for (fs, writes) in [("ext4", 1), ("ext4", 6), ("ext4", 20), ("xfs", 1), ("xfs", 6)] {
        let site = Site::start(image, 4).await?;
        let mut volume = site.create("pvc-1", fs).await?;
        let guest = site.boot(0, false)?;
        site.attach(&mut volume, 0).await?;
        let kubelet = guest.kubelet().await?;
        mount(&kubelet, &volume, &VolumeUse::mount(fs)).await?;
        let path = target_path(&volume);
        guest.sh(&format!("busybox seq 1 100000 >{0}/file; sync", path.display()))?;
        let checksum = guest.sh(&format!("busybox sha256sum <{}/file", path.display()))?;
        site.expand(&volume, 200).await?;
        let (expanding, at) = (volume.clone(), path.clone());
        let expand = async move { kubelet.expand(&expanding, &at, 200 << 30).await.map(drop) };
        power_off_during(guest, &volume.id, writes, expand).await?;
        cuts += 1;
        let guest = site.boot(0, false)?;
        let kubelet = guest.kubelet().await?;
        // The publish context has the size that the disk has now.
        site.attach(&mut volume, 0).await?;
        mount(&kubelet, &volume, &VolumeUse::mount(fs)).await?;
        kubelet.expand(&volume, &path, 200 << 30).await?;
        let now = guest.sh(&format!("busybox sha256sum <{}/file", path.display()))?;
        ensure(now == checksum, format!("{fs}, power cut after {writes} writes: the file has changed"))?;
    }
    Ok(format!("{cuts} power cuts, each expanded afterwards with its data"))
}

/// While a pod writes: each file that was synced is there and complete.
pub(super) async fn while_writing_ext4(image: &Image) -> Result<String, Error> {
    while_writing(image, "ext4").await
}

pub(super) async fn while_writing_xfs(image: &Image) -> Result<String, Error> {
    while_writing(image, "xfs").await
}

async fn while_writing(image: &Image, fs: &str) -> Result<String, Error> {
    let site = Site::start(image, 4).await?;
    let mut volume = site.create("pvc-1", fs).await?;
    let mut guest = site.boot(0, false)?;
    site.attach(&mut volume, 0).await?;
    let path = target_path(&volume).display().to_string();
    let mut acknowledged = 0;
    for cut in 0..3_u64 {
        mount(&guest.kubelet().await?, &volume, &VolumeUse::mount(fs)).await?;
        let time = Duration::from_millis(2000 + 700 * cut);
        let synced = write_until_power_off(guest, format!("{path}/{cut}"), time).await?;
        acknowledged += synced;
        guest = site.boot(0, false)?;
        mount(&guest.kubelet().await?, &volume, &VolumeUse::mount(fs)).await?;
        for n in 0..synced {
            guest.sh(&format!("busybox seq {n} 3000 | busybox cmp - {path}/{cut}-{n}")).map_err(|error| {
                Error::check(format!("{fs}: a file that was synced before power cut {cut} is lost: {error}"))
            })?;
        }
    }
    ensure(acknowledged > 0, "nothing was written before the power cuts")?;
    Ok(format!("3 power cuts, all {acknowledged} files that were synced are complete"))
}

/// Writes and syncs files `<prefix>-<number>` one after another until the power is cut; returns how many were synced.
async fn write_until_power_off(guest: Guest, prefix: String, time: Duration) -> Result<u64, Error> {
    let machine = Arc::new(guest);
    let writer = Arc::clone(&machine);
    let writing = tokio::task::spawn_blocking(move || {
        let mut synced = 0;
        while writer.sh(&format!("busybox seq {synced} 3000 >{prefix}-{synced} && busybox sync")).is_ok() {
            synced += 1;
        }
        synced
    });
    tokio::time::sleep(time).await;
    machine.power_off_shared();
    writing.await.map_err(Error::check)
}
