//! The power is cut in the midst of something. Afterwards nothing that was acknowledged is lost, and the next stage repairs what is
//! there or refuses it with words.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tonic::Status;

use super::Seen;
use crate::edge::guest::{Guest, Image};
use crate::edge::site::{Site, Trouble, mount, must, published, staged};
use crate::kubelet::{Kubelet, Volume, VolumeUse};

/// A call that is under way when the power goes needs no longer than this.
const LONGEST: Duration = Duration::from_secs(60);

/// Starts `call` and cuts the power when the disk has been written to so often; gives the writes, and whether the call had ended
/// well before.
async fn cut_in<F>(guest: Guest, disk: &str, writes: u64, call: F) -> Result<(u64, bool), Trouble>
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let disk = disk.to_owned();
    let cut = tokio::task::spawn_blocking(move || guest.cut_after(&disk, writes, LONGEST));
    // The watch connects before the call is sent.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let call = tokio::spawn(call);
    let seen = cut.await.map_err(Trouble::new)??;
    let told = tokio::time::timeout(Duration::from_secs(30), call).await;
    Ok((seen, matches!(told, Ok(Ok(Ok(()))))))
}

fn stage(
    kubelet: Kubelet,
    volume: Volume,
    fs: &str,
) -> impl Future<Output = Result<(), Status>> + Send + use<> {
    let wanted = VolumeUse::mount(fs);
    async move { kubelet.stage(&volume, &staged(&volume), &wanted).await }
}

/// While the file system is made: what is left is made anew, used, or refused with words, and never taken for another one.
pub(super) async fn in_mkfs(image: &Image) -> Seen {
    let cuts = [("ext4", 1), ("ext4", 8), ("ext4", 60), ("xfs", 2), ("xfs", 10)];
    cut_in_making(image, &[], &HashMap::new(), &cuts).await
}

/// The same for volumes of a class with these parameters and secrets: a file system, and the writes after which the power goes.
pub(super) async fn cut_in_making(
    image: &Image,
    class: &[(&str, &str)],
    secrets: &HashMap<String, String>,
    cuts: &[(&str, u64)],
) -> Seen {
    let (mut made, mut refused) = (0, 0);
    for &(fs, writes) in cuts {
        let site = Site::start(image, 4).await?;
        let mut volume = site.create_of("pvc-1", &[&[("fsType", fs)], class].concat()).await?;
        volume.secrets.clone_from(secrets);
        let guest = site.boot(0, false)?;
        site.attach(&mut volume, 0).await?;
        let call = stage(guest.kubelet().await?, volume.clone(), fs);
        let (_, ended) = cut_in(guest, &volume.id, writes, call).await?;
        let guest = site.boot(0, false)?;
        match mount(&guest.kubelet().await?, &volume, &VolumeUse::mount(fs)).await {
            Ok(()) => {
                made += 1;
                let file = published(&volume).join("a");
                let read =
                    guest.sh(&format!("echo a >{0} && busybox sync && busybox cat {0}", file.display()))?;
                must(read == "a", format!("{fs}, cut after {writes} writes: {read:?} is read"))?;
            }
            Err(words) => {
                let words = words.to_string();
                must(
                    !ended,
                    format!("{fs}, cut after {writes} writes: it was staged before, and now {words}"),
                )?;
                must(
                    words.starts_with("FailedPrecondition"),
                    format!("{fs}, cut after {writes} writes: {words}"),
                )?;
                refused += 1;
            }
        }
    }
    Ok(format!("{made} usable afterwards, {refused} refused with words"))
}

/// While a journal is replayed at the next mount.
pub(super) async fn in_mount(image: &Image) -> Seen {
    let mut cuts = 0;
    for fs in ["ext4", "xfs"] {
        let site = Site::start(image, 4).await?;
        let mut volume = site.create("pvc-1", fs).await?;
        let guest = site.boot(0, false)?;
        site.attach(&mut volume, 0).await?;
        mount(&guest.kubelet().await?, &volume, &VolumeUse::mount(fs)).await?;
        let file = published(&volume).join("file");
        guest.sh(&format!(
            "echo kept >{}; sync; busybox seq 1 2000 >{}.more",
            file.display(),
            file.display()
        ))?;
        guest.cut();
        for writes in [1, 4, 12] {
            let guest = site.boot(0, false)?;
            let call = stage(guest.kubelet().await?, volume.clone(), fs);
            cut_in(guest, &volume.id, writes, call).await?;
            cuts += 1;
        }
        let guest = site.boot(0, false)?;
        mount(&guest.kubelet().await?, &volume, &VolumeUse::mount(fs)).await?;
        let read = guest.sh(&format!("busybox cat {}", file.display()))?;
        must(read == "kept", format!("{fs}: {read:?} is read"))?;
    }
    Ok(format!("{cuts} cuts, what was synced is there"))
}

/// While the file system grows.
pub(super) async fn in_expand(image: &Image) -> Seen {
    let mut cuts = 0;
    for (fs, writes) in [("ext4", 1), ("ext4", 6), ("ext4", 20), ("xfs", 1), ("xfs", 6)] {
        let site = Site::start(image, 4).await?;
        let mut volume = site.create("pvc-1", fs).await?;
        let guest = site.boot(0, false)?;
        site.attach(&mut volume, 0).await?;
        let kubelet = guest.kubelet().await?;
        mount(&kubelet, &volume, &VolumeUse::mount(fs)).await?;
        let path = published(&volume);
        guest.sh(&format!("busybox seq 1 100000 >{0}/file; sync", path.display()))?;
        let sum = guest.sh(&format!("busybox sha256sum <{}/file", path.display()))?;
        site.grow(&volume, 200).await?;
        let (call, at) = (volume.clone(), path.clone());
        let expand = async move { kubelet.expand(&call, &at, 200 << 30).await.map(drop) };
        cut_in(guest, &volume.id, writes, expand).await?;
        cuts += 1;
        let guest = site.boot(0, false)?;
        let kubelet = guest.kubelet().await?;
        // The controller tells the size that the disk has now.
        site.attach(&mut volume, 0).await?;
        mount(&kubelet, &volume, &VolumeUse::mount(fs)).await?;
        kubelet.expand(&volume, &path, 200 << 30).await?;
        let now = guest.sh(&format!("busybox sha256sum <{}/file", path.display()))?;
        must(now == sum, format!("{fs}, cut after {writes} writes: the file is another one"))?;
    }
    Ok(format!("{cuts} cuts, each grown afterwards with its data"))
}

/// While a pod writes: each file that was synced is there, whole.
pub(super) async fn writing_ext4(image: &Image) -> Seen {
    writing(image, "ext4").await
}

pub(super) async fn writing_xfs(image: &Image) -> Seen {
    writing(image, "xfs").await
}

async fn writing(image: &Image, fs: &str) -> Seen {
    let site = Site::start(image, 4).await?;
    let mut volume = site.create("pvc-1", fs).await?;
    let mut guest = site.boot(0, false)?;
    site.attach(&mut volume, 0).await?;
    let path = published(&volume).display().to_string();
    let mut acknowledged = 0;
    for cut in 0..3_u64 {
        mount(&guest.kubelet().await?, &volume, &VolumeUse::mount(fs)).await?;
        let machine = Arc::new(guest);
        let (writer, folder) = (Arc::clone(&machine), path.clone());
        let writing = tokio::task::spawn_blocking(move || {
            let mut synced = 0;
            while writer
                .sh(&format!("busybox seq {synced} 3000 >{folder}/{cut}-{synced} && busybox sync"))
                .is_ok()
            {
                synced += 1;
            }
            synced
        });
        tokio::time::sleep(Duration::from_millis(2000 + 700 * cut)).await;
        machine.off();
        let synced: u64 = writing.await.map_err(Trouble::new)?;
        acknowledged += synced;
        drop(machine);
        guest = site.boot(0, false)?;
        mount(&guest.kubelet().await?, &volume, &VolumeUse::mount(fs)).await?;
        for n in 0..synced {
            guest.sh(&format!("busybox seq {n} 3000 | busybox cmp - {path}/{cut}-{n}")).map_err(|e| {
                Trouble::new(format!("{fs}: what was acknowledged before cut {cut} is not there: {e}"))
            })?;
        }
    }
    must(acknowledged > 0, "nothing was written before the cuts")?;
    Ok(format!("3 cuts, all {acknowledged} files that were acknowledged are whole"))
}
