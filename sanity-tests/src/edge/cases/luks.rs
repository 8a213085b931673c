//! Encrypted volumes, with the kernel's own device mapper.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use ecx_sim::plane::guest::Guests;
use nix::unistd::{Whence, lseek};
use tonic::Code;

use super::Seen;
use super::power::cut_in_making;
use crate::edge::guest::{Guest, Image};
use crate::edge::site::{MACHINES, Site, Trouble, mount, must, published, staged, unmount};
use crate::kubelet::{Kubelet, Volume, VolumeUse};

const KEY: &str = "encryptionPassphrase";
const PREVIOUS: &str = "encryptionPassphrasePrevious";
const OLD: &str = "the passphrase of old";
const NEW: &str = "a passphrase that is new\n";
/// What is written into volumes, and looked for on their disks.
const MARK: &str = "the customer's own words, in the clear";

async fn encrypted(site: &Site, name: &str, fs: &str) -> Result<Volume, Trouble> {
    let made = site.create_of(name, &[("fsType", fs), ("encryption", "luks2")]).await?;
    Ok(with(&made, &[(KEY, OLD)]))
}

/// The volume, asked for with these secrets.
fn with(volume: &Volume, secrets: &[(&str, &str)]) -> Volume {
    let secrets = secrets.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Volume { secrets, ..volume.clone() }
}

/// The device that shows the volume's serial.
fn device(guest: &Guest, volume: &Volume) -> Result<String, Trouble> {
    let serial = volume.id.trim_start_matches("cd-");
    let name = guest.sh(&format!("busybox grep -l {serial} /sys/block/*/serial | busybox cut -d/ -f4"))?;
    Ok(format!("/dev/{name}"))
}

/// What was ever written into a disk's file, piece by piece, with its place.
fn written(path: &Path, mut each: impl FnMut(u64, &[u8]) -> io::Result<()>) -> Result<(), Trouble> {
    let mut file = File::open(path)?;
    let mut at = 0;
    while let Ok(start) = lseek(&file, at, Whence::SeekData) {
        at = lseek(&file, start, Whence::SeekHole).map_err(io::Error::from)?;
        let place = start.unsigned_abs();
        file.seek(SeekFrom::Start(place))?;
        let mut data = Vec::new();
        (&file).take((at - start).unsigned_abs()).read_to_end(&mut data)?;
        each(place, &data)?;
    }
    Ok(())
}

/// Whether the text stands anywhere on the volume's disk.
fn shows(site: &Site, volume: &Volume, text: &str) -> Result<bool, Trouble> {
    let mut found = false;
    written(&site.file(&volume.id), |_, data| {
        found |= data.windows(text.len()).any(|window| window == text.as_bytes());
        Ok(())
    })?;
    Ok(found)
}

/// What the cloud does when it makes a disk from another one.
fn copy(site: &Site, from: &Volume, to: &Volume) -> Result<(), Trouble> {
    let file = File::options().write(true).open(site.file(&to.id))?;
    written(&site.file(&from.id), |at, data| file.write_all_at(data, at))
}

/// The start of the volume's disk, up to its data.
fn start(site: &Site, volume: &Volume) -> Result<Vec<u8>, Trouble> {
    let mut bytes = vec![0; 16 << 20];
    File::open(site.file(&volume.id))?.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Staging must be refused with this code and these words.
async fn refused(
    kubelet: &Kubelet,
    volume: &Volume,
    fs: &str,
    code: Code,
    words: &str,
) -> Result<(), Trouble> {
    match kubelet.stage(volume, &staged(volume), &VolumeUse::mount(fs)).await {
        Ok(()) => Err(Trouble::new(format!("it was staged, and not refused: {words}"))),
        Err(status) => {
            let secret = [OLD, NEW].iter().any(|key| status.message().contains(key));
            must(!secret, "a refusal shows a passphrase")?;
            let so = status.code() == code && status.message().contains(words);
            must(so, format!("{code:?} with {words:?} was to come: {status:?}"))
        }
    }
}

async fn write(guest: &Guest, volume: &Volume, text: &str) -> Result<(), Trouble> {
    guest.sh(&format!("echo \"{text}\" >{0}/file && busybox sync", published(volume).display())).map(drop)
}

fn reads(guest: &Guest, volume: &Volume, text: &str) -> Result<(), Trouble> {
    let read = guest.sh(&format!("busybox cat {}/file", published(volume).display()))?;
    must(read == text, format!("{}: {read:?} is read", volume.id))
}

fn closed(guest: &Guest) -> Result<(), Trouble> {
    let open = guest.sh("busybox cat /sys/block/dm-*/dm/name 2>/dev/null; true")?;
    must(open.is_empty(), format!("{open:?} is still open"))
}

/// Written on one machine, read on another and after a reboot; nothing of it stands on the disk in the clear.
pub(super) async fn from_machine_to_machine(image: &Image) -> Seen {
    let site = Site::start(image, 8).await?;
    let (first, second) = (site.boot(0, false)?, site.boot(1, false)?);
    let (here, there) = (first.kubelet().await?, second.kubelet().await?);
    for fs in ["ext4", "xfs"] {
        let mut volume = encrypted(&site, &format!("pvc-{fs}"), fs).await?;
        site.attach(&mut volume, 0).await?;
        mount(&here, &volume, &VolumeUse::mount(fs)).await?;
        write(&first, &volume, MARK).await?;
        mount(&here, &volume, &VolumeUse::mount(fs)).await?;
        let dump = first.sh(&format!("cryptsetup luksDump {}", device(&first, &volume)?))?;
        must(!dump.contains("eck-fresh"), format!("{fs}: it may be made blank: {dump}"))?;
        unmount(&here, &volume).await?;
        closed(&first)?;
        site.detach(&volume, 0).await?;
        must(!shows(&site, &volume, MARK)?, format!("{fs}: the disk shows what was written"))?;
        site.attach(&mut volume, 1).await?;
        mount(&there, &volume, &VolumeUse::mount(fs)).await?;
        reads(&second, &volume, MARK)?;
        unmount(&there, &volume).await?;
        site.detach(&volume, 1).await?;
    }
    let mut clear = site.create("pvc-clear", "ext4").await?;
    site.attach(&mut clear, 0).await?;
    mount(&here, &clear, &VolumeUse::mount("ext4")).await?;
    write(&first, &clear, MARK).await?;
    must(shows(&site, &clear, MARK)?, "what is written in the clear is not found: so nothing is")?;

    let mut block = encrypted(&site, "pvc-block", "ext4").await?;
    site.attach(&mut block, 1).await?;
    mount(&there, &block, &VolumeUse::block()).await?;
    let path = published(&block).display().to_string();
    second.sh(&format!("echo \"{MARK}\" | busybox dd of={path} bs=512 conv=notrunc,fsync 2>/dev/null"))?;
    must(!shows(&site, &block, MARK)?, "the block volume's disk shows what was written")?;
    second.cut();
    let second = site.boot(1, false)?;
    mount(&second.kubelet().await?, &block, &VolumeUse::block()).await?;
    let read = second.sh(&format!("busybox head -n 1 {path}"))?;
    must(read == MARK, format!("after a reboot {read:?} is read"))?;
    Ok("ext4, xfs and a block volume; nothing in the clear".to_owned())
}

/// What opens a volume, and what does not.
pub(super) async fn keys(image: &Image) -> Seen {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let node = guest.kubelet().await?;
    let mut volume = encrypted(&site, "pvc-1", "ext4").await?;
    site.attach(&mut volume, 0).await?;
    refused(&node, &with(&volume, &[]), "ext4", Code::InvalidArgument, "secrets.encryptionPassphrase")
        .await?;
    mount(&node, &volume, &VolumeUse::mount("ext4")).await?;
    write(&guest, &volume, MARK).await?;
    unmount(&node, &volume).await?;

    let before = start(&site, &volume)?;
    refused(&node, &with(&volume, &[(KEY, NEW)]), "ext4", Code::FailedPrecondition, "the key does not open")
        .await?;
    let mut bare = volume.clone();
    bare.context.remove("encryption");
    refused(&node, &bare, "ext4", Code::FailedPrecondition, "a LUKS 2 header").await?;
    must(start(&site, &volume)? == before, "a refusal changed the disk")?;
    closed(&guest)?;

    let both = with(&volume, &[(KEY, NEW), (PREVIOUS, OLD)]);
    mount(&node, &both, &VolumeUse::mount("ext4")).await?;
    reads(&guest, &volume, MARK)?;
    unmount(&node, &volume).await?;
    refused(&node, &volume, "ext4", Code::FailedPrecondition, "the key does not open").await?;
    // A change that was cut off in its middle: both open it, and the old one is taken away at the next staging.
    let disk = device(&guest, &volume)?;
    guest.sh(&format!("printf %s '{OLD}' >/run/old; printf '%s\\n' '{}' >/run/new; cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /run/new {disk} /run/old", NEW.trim_end()))?;
    mount(&node, &both, &VolumeUse::mount("ext4")).await?;
    unmount(&node, &volume).await?;
    refused(&node, &volume, "ext4", Code::FailedPrecondition, "the key does not open").await?;
    let take = "busybox dd if=$D of=/run/copy bs=32768 skip=256 count=65 2>/dev/null; busybox truncate -s 33554432 /run/copy";
    let opens = |key: &str| {
        guest
            .sh(&format!("D={disk}; {take}; cryptsetup open --test-passphrase --key-file {key} /run/copy"))
            .is_ok()
    };
    must(opens("/run/new") && !opens("/run/old"), "the copy of the header has not the keys of the header")?;

    let mut plain = site.create("pvc-plain", "ext4").await?;
    site.attach(&mut plain, 0).await?;
    mount(&node, &plain, &VolumeUse::mount("ext4")).await?;
    unmount(&node, &plain).await?;
    let mut wanted = with(&plain, &[(KEY, OLD)]);
    wanted.context.insert("encryption".to_owned(), "luks2".to_owned());
    refused(&node, &wanted, "ext4", Code::FailedPrecondition, "in the clear").await?;

    let mut other = encrypted(&site, "pvc-other", "ext4").await?;
    copy(&site, &volume, &other)?;
    site.attach(&mut other, 0).await?;
    refused(&node, &other, "ext4", Code::FailedPrecondition, "another volume").await?;
    Ok("wrong, missing, changed and half changed keys; what is in the clear; another volume's header"
        .to_owned())
}

/// Grown while it is mounted and while it is not; copied, and used beside its source.
pub(super) async fn grows_and_is_copied(image: &Image) -> Seen {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let node = guest.kubelet().await?;
    for fs in ["ext4", "xfs"] {
        let mut volume = encrypted(&site, &format!("pvc-{fs}"), fs).await?;
        site.attach(&mut volume, 0).await?;
        mount(&node, &volume, &VolumeUse::mount(fs)).await?;
        write(&guest, &volume, MARK).await?;
        let path = published(&volume);
        site.grow(&volume, 30).await?;
        let bytes = node.expand(&volume, &path, 30 << 30).await?;
        must(
            bytes >= 30 << 30 && guest.mib(&path)? > 29 << 10,
            format!("{fs}: {bytes} bytes are told, {} MiB are there", guest.mib(&path)?),
        )?;
        unmount(&node, &volume).await?;
        site.grow(&volume, 40).await?;
        site.attach(&mut volume, 0).await?;
        mount(&node, &volume, &VolumeUse::mount(fs)).await?;
        must(
            guest.mib(&path)? > 39 << 10,
            format!("{fs}: grown while it was closed, {} MiB are there", guest.mib(&path)?),
        )?;
        reads(&guest, &volume, MARK)?;

        guest.sh("busybox sync")?;
        let mut copy = encrypted(&site, &format!("pvc-copy-{fs}"), fs).await?;
        site.grow(&copy, 40).await?;
        self::copy(&site, &volume, &copy)?;
        site.attach(&mut copy, 0).await?;
        copy.context.insert("eck.csi.k8s.io/content-source".to_owned(), volume.id.clone());
        mount(&node, &copy, &VolumeUse::mount(fs)).await?;
        reads(&guest, &copy, MARK)?;
        let uuid = |volume: &Volume| guest.sh(&format!("cryptsetup luksUUID {}", device(&guest, volume)?));
        must(uuid(&volume)? != uuid(&copy)?, format!("{fs}: the copy has the UUID of its source"))?;
        unmount(&node, &copy).await?;
        unmount(&node, &volume).await?;
        closed(&guest)?;
    }
    Ok("ext4 and xfs, 20 to 30 to 40 GiB; a copy beside its source".to_owned())
}

/// The disk is torn out under writes and comes back; its header is destroyed and restored from its copy, as the guide says.
pub(super) async fn survives(image: &Image) -> Seen {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let node = guest.kubelet().await?;
    let mut volume = encrypted(&site, "pvc-1", "ext4").await?;
    site.attach(&mut volume, 0).await?;
    mount(&node, &volume, &VolumeUse::mount("ext4")).await?;
    write(&guest, &volume, MARK).await?;
    let torn = Guests::new(site.nodes()).unplug(&volume.id, MACHINES[0].0)?;
    must(torn, "the guest does not let the disk go")?;
    let health = node.health(&volume, &published(&volume), &staged(&volume)).await?;
    must(health.iter().any(|status| status.reason == "DiskMissing"), format!("{health:?}"))?;
    let left = tokio::time::timeout(Duration::from_secs(60), unmount(&node, &volume)).await;
    left.map_err(|_| Trouble::new("it is not unmounted within a minute"))??;
    closed(&guest)?;
    guest.cut();
    let guest = site.boot(0, false)?;
    let node = guest.kubelet().await?;
    mount(&node, &volume, &VolumeUse::mount("ext4")).await?;
    reads(&guest, &volume, MARK)?;
    unmount(&node, &volume).await?;

    let disk = device(&guest, &volume)?;
    guest.sh(&format!("busybox dd if=/dev/zero of={disk} bs=1M count=4 conv=notrunc,fsync 2>/dev/null"))?;
    refused(&node, &volume, "ext4", Code::FailedPrecondition, "a copy of a LUKS 2 header").await?;
    guest.sh(&format!(
        "busybox dd if={disk} of=/run/header bs=32768 skip=256 count=65 2>/dev/null && cryptsetup luksHeaderRestore --batch-mode {disk} --header-backup-file /run/header"
    ))?;
    mount(&node, &volume, &VolumeUse::mount("ext4")).await?;
    reads(&guest, &volume, MARK)?;
    Ok("the data is there after both".to_owned())
}

/// The power goes while the header and the file system are made: whatever is left is made anew, and nobody has to be asked.
pub(super) async fn power(image: &Image) -> Seen {
    let class = [("encryption", "luks2")];
    let secrets = [(KEY.to_owned(), OLD.to_owned())].into();
    let cuts = [("ext4", 1), ("ext4", 2), ("ext4", 40), ("ext4", 90), ("xfs", 50), ("xfs", 120)];
    cut_in_making(image, &class, &secrets, &cuts).await
}
