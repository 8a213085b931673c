//! Encrypted volumes, with the kernel's device mapper.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use ecx_sim::plane::guest::Guests;
use nix::unistd::{Whence, lseek};
use tonic::Code;

use super::power::power_off_while_staging;
use crate::edge::guest::{Guest, Image};
use crate::edge::site::{MACHINES, Site, mount, staging_path, target_path, unmount};
use crate::kubelet::{Kubelet, Volume, VolumeUse};
use crate::rig::{Error, ensure};

const KEY: &str = "encryptionPassphrase";
const PREVIOUS: &str = "encryptionPassphrasePrevious";
const OLD: &str = "the old passphrase";
const NEW: &str = "the new passphrase\n";
/// Written into volumes, and searched for on their disks.
const PLAINTEXT: &str = "the customer's data, in plain text";

async fn create_encrypted(site: &Site, name: &str, fs: &str) -> Result<Volume, Error> {
    let volume = site.create_with(name, &[("fsType", fs), ("encryption", "luks2")]).await?;
    Ok(with_secrets(&volume, &[(KEY, OLD)]))
}

/// The same volume with these secrets in its requests.
fn with_secrets(volume: &Volume, secrets: &[(&str, &str)]) -> Volume {
    let secrets = secrets.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Volume { secrets, ..volume.clone() }
}

/// The block device with the volume's serial.
fn device(guest: &Guest, volume: &Volume) -> Result<String, Error> {
    let serial = volume.id.trim_start_matches("cd-");
    let name = guest.sh(&format!("busybox grep -l {serial} /sys/block/*/serial | busybox cut -d/ -f4"))?;
    Ok(format!("/dev/{name}"))
}

/// Calls `each` for every extent of a disk's file that was ever written, with its offset.
fn for_each_extent(path: &Path, mut each: impl FnMut(u64, &[u8]) -> io::Result<()>) -> Result<(), Error> {
    let mut file = File::open(path)?;
    let mut end = 0;
    while let Ok(start) = lseek(&file, end, Whence::SeekData) {
        end = lseek(&file, start, Whence::SeekHole).map_err(io::Error::from)?;
        let offset = start.unsigned_abs();
        file.seek(SeekFrom::Start(offset))?;
        let mut data = Vec::new();
        (&file).take((end - start).unsigned_abs()).read_to_end(&mut data)?;
        each(offset, &data)?;
    }
    Ok(())
}

/// Whether the text is anywhere on the volume's disk.
fn disk_contains(site: &Site, volume: &Volume, text: &str) -> Result<bool, Error> {
    let mut found = false;
    for_each_extent(&site.disk_file(&volume.id), |_, data| {
        found |= data.windows(text.len()).any(|window| window == text.as_bytes());
        Ok(())
    })?;
    Ok(found)
}

/// Copies a disk, as the cloud does for a clone.
fn copy_disk(site: &Site, from: &Volume, to: &Volume) -> Result<(), Error> {
    let file = File::options().write(true).open(site.disk_file(&to.id))?;
    for_each_extent(&site.disk_file(&from.id), |offset, data| file.write_all_at(data, offset))
}

/// The start of the volume's disk, up to its encrypted data.
fn header(site: &Site, volume: &Volume) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; 16 << 20];
    File::open(site.disk_file(&volume.id))?.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Checks that staging is refused with this code and a message that contains `text`.
async fn ensure_refused(
    kubelet: &Kubelet,
    volume: &Volume,
    fs: &str,
    code: Code,
    text: &str,
) -> Result<(), Error> {
    match kubelet.stage(volume, &staging_path(volume), &VolumeUse::mount(fs)).await {
        Ok(()) => Err(Error::check(format!("it was staged, not refused with {text:?}"))),
        Err(status) => {
            let secret = [OLD, NEW].iter().any(|key| status.message().contains(key));
            ensure(!secret, "an error message contains a passphrase")?;
            let expected = status.code() == code && status.message().contains(text);
            ensure(expected, format!("expected {code:?} with {text:?}, got {status:?}"))
        }
    }
}

async fn write(guest: &Guest, volume: &Volume, text: &str) -> Result<(), Error> {
    guest.sh(&format!("echo \"{text}\" >{0}/file && busybox sync", target_path(volume).display())).map(drop)
}

fn ensure_content(guest: &Guest, volume: &Volume, text: &str) -> Result<(), Error> {
    let read = guest.sh(&format!("busybox cat {}/file", target_path(volume).display()))?;
    ensure(read == text, format!("{}: the file contains {read:?}", volume.id))
}

fn ensure_closed(guest: &Guest) -> Result<(), Error> {
    let open = guest.sh("busybox cat /sys/block/dm-*/dm/name 2>/dev/null; true")?;
    ensure(open.is_empty(), format!("{open:?} is still open"))
}

/// Written on one machine, read on another one and after a reboot; no plain text is on the disk.
pub(super) async fn from_machine_to_machine(image: &Image) -> Result<String, Error> {
    let site = Site::start(image, 8).await?;
    let (first, second) = (site.boot(0, false)?, site.boot(1, false)?);
    for fs in ["ext4", "xfs"] {
        file_system_on_two_machines(&site, &first, &second, fs).await?;
    }
    ensure_plaintext_is_found_without_encryption(&site, &first).await?;
    block_volume_after_reboot(&site, second).await?;
    Ok("ext4, xfs and a block volume; no plain text on the disks".to_owned())
}

async fn file_system_on_two_machines(
    site: &Site,
    first: &Guest,
    second: &Guest,
    fs: &str,
) -> Result<(), Error> {
    let (here, there) = (first.kubelet().await?, second.kubelet().await?);
    let volume_use = VolumeUse::mount(fs);
    let mut volume = create_encrypted(site, &format!("pvc-{fs}"), fs).await?;
    site.attach(&mut volume, 0).await?;
    mount(&here, &volume, &volume_use).await?;
    write(first, &volume, PLAINTEXT).await?;
    mount(&here, &volume, &volume_use).await?;
    let dump = first.sh(&format!("cryptsetup luksDump {}", device(first, &volume)?))?;
    ensure(!dump.contains("eck-fresh"), format!("{fs}: the header still allows to format: {dump}"))?;
    unmount(&here, &volume).await?;
    ensure_closed(first)?;
    site.detach(&volume, 0).await?;
    ensure(!disk_contains(site, &volume, PLAINTEXT)?, format!("{fs}: the disk contains plain text"))?;
    site.attach(&mut volume, 1).await?;
    mount(&there, &volume, &volume_use).await?;
    ensure_content(second, &volume, PLAINTEXT)?;
    unmount(&there, &volume).await?;
    site.detach(&volume, 1).await
}

/// Without this the search for plain text would prove nothing.
async fn ensure_plaintext_is_found_without_encryption(site: &Site, guest: &Guest) -> Result<(), Error> {
    let mut volume = site.create("pvc-clear", "ext4").await?;
    site.attach(&mut volume, 0).await?;
    mount(&guest.kubelet().await?, &volume, &VolumeUse::mount("ext4")).await?;
    write(guest, &volume, PLAINTEXT).await?;
    ensure(disk_contains(site, &volume, PLAINTEXT)?, "the search does not find plain text")
}

async fn block_volume_after_reboot(site: &Site, guest: Guest) -> Result<(), Error> {
    let mut volume = create_encrypted(site, "pvc-block", "ext4").await?;
    site.attach(&mut volume, 1).await?;
    mount(&guest.kubelet().await?, &volume, &VolumeUse::block()).await?;
    let path = target_path(&volume).display().to_string();
    guest
        .sh(&format!("echo \"{PLAINTEXT}\" | busybox dd of={path} bs=512 conv=notrunc,fsync 2>/dev/null"))?;
    ensure(!disk_contains(site, &volume, PLAINTEXT)?, "the block volume's disk contains plain text")?;
    guest.power_off();
    let guest = site.boot(1, false)?;
    mount(&guest.kubelet().await?, &volume, &VolumeUse::block()).await?;
    let read = guest.sh(&format!("busybox head -n 1 {path}"))?;
    ensure(read == PLAINTEXT, format!("after a reboot the block volume contains {read:?}"))
}

/// Which keys open a volume, and which do not.
pub(super) async fn keys(image: &Image) -> Result<String, Error> {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let node = guest.kubelet().await?;
    let mut volume = create_encrypted(&site, "pvc-1", "ext4").await?;
    site.attach(&mut volume, 0).await?;
    missing_key(&guest, &node, &volume).await?;
    wrong_key(&site, &guest, &node, &volume).await?;
    changed_key(&guest, &node, &volume).await?;
    half_changed_key(&guest, &node, &volume).await?;
    unencrypted_disk(&site, &node).await?;
    header_of_another_volume(&site, &node, &volume).await?;
    Ok("missing, wrong, changed and half changed keys; an unencrypted disk; another volume's header"
        .to_owned())
}

/// Without a key a blank disk is refused; with one it is formatted. Leaves a file in the volume.
async fn missing_key(guest: &Guest, node: &Kubelet, volume: &Volume) -> Result<(), Error> {
    let without_key = with_secrets(volume, &[]);
    let field = "secrets.encryptionPassphrase";
    ensure_refused(node, &without_key, "ext4", Code::InvalidArgument, field).await?;
    mount(node, volume, &VolumeUse::mount("ext4")).await?;
    write(guest, volume, PLAINTEXT).await?;
    unmount(node, volume).await
}

/// A wrong key, and a request for an unencrypted volume, are refused without a change of the disk.
async fn wrong_key(site: &Site, guest: &Guest, node: &Kubelet, volume: &Volume) -> Result<(), Error> {
    let before = header(site, volume)?;
    let with_wrong_key = with_secrets(volume, &[(KEY, NEW)]);
    ensure_refused(node, &with_wrong_key, "ext4", Code::FailedPrecondition, "the key does not open").await?;
    let mut unencrypted = volume.clone();
    unencrypted.context.remove("encryption");
    ensure_refused(node, &unencrypted, "ext4", Code::FailedPrecondition, "a LUKS 2 header").await?;
    ensure(header(site, volume)? == before, "a refused request changed the disk")?;
    ensure_closed(guest)
}

/// With the previous key beside the new one the key is changed; then the previous one does not open the volume any more.
async fn changed_key(guest: &Guest, node: &Kubelet, volume: &Volume) -> Result<(), Error> {
    let both = with_secrets(volume, &[(KEY, NEW), (PREVIOUS, OLD)]);
    mount(node, &both, &VolumeUse::mount("ext4")).await?;
    ensure_content(guest, volume, PLAINTEXT)?;
    unmount(node, volume).await?;
    ensure_refused(node, volume, "ext4", Code::FailedPrecondition, "the key does not open").await
}

/// A change was interrupted, so that both keys open the volume: the next staging removes the previous one, also from the copy
/// of the header.
async fn half_changed_key(guest: &Guest, node: &Kubelet, volume: &Volume) -> Result<(), Error> {
    let disk = device(guest, volume)?;
    guest.sh(&format!("printf %s '{OLD}' >/run/old; printf '%s\\n' '{}' >/run/new; cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /run/new {disk} /run/old", NEW.trim_end()))?;
    let both = with_secrets(volume, &[(KEY, NEW), (PREVIOUS, OLD)]);
    mount(node, &both, &VolumeUse::mount("ext4")).await?;
    unmount(node, volume).await?;
    ensure_refused(node, volume, "ext4", Code::FailedPrecondition, "the key does not open").await?;
    let copy_header = "busybox dd if=$D of=/run/copy bs=32768 skip=256 count=65 2>/dev/null; busybox truncate -s 33554432 /run/copy";
    let opens = |key: &str| {
        let open = format!("cryptsetup open --test-passphrase --key-file {key} /run/copy");
        guest.sh(&format!("D={disk}; {copy_header}; {open}")).is_ok()
    };
    ensure(opens("/run/new") && !opens("/run/old"), "the copy of the header has other keys than the header")
}

/// A disk with an unencrypted file system is refused as an encrypted volume.
async fn unencrypted_disk(site: &Site, node: &Kubelet) -> Result<(), Error> {
    let mut volume = site.create("pvc-plain", "ext4").await?;
    site.attach(&mut volume, 0).await?;
    mount(node, &volume, &VolumeUse::mount("ext4")).await?;
    unmount(node, &volume).await?;
    let mut encrypted = with_secrets(&volume, &[(KEY, OLD)]);
    encrypted.context.insert("encryption".to_owned(), "luks2".to_owned());
    ensure_refused(node, &encrypted, "ext4", Code::FailedPrecondition, "in the clear").await
}

/// A disk with the header of another volume is refused.
async fn header_of_another_volume(site: &Site, node: &Kubelet, volume: &Volume) -> Result<(), Error> {
    let mut other = create_encrypted(site, "pvc-other", "ext4").await?;
    copy_disk(site, volume, &other)?;
    site.attach(&mut other, 0).await?;
    ensure_refused(node, &other, "ext4", Code::FailedPrecondition, "another volume").await
}

/// Expanded while it is mounted and while it is not; copied, and used beside its source.
pub(super) async fn expand_and_copy(image: &Image) -> Result<String, Error> {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    for fs in ["ext4", "xfs"] {
        let volume = expanded_volume(&site, &guest, fs).await?;
        copy_beside_its_source(&site, &guest, &volume, fs).await?;
        unmount(&guest.kubelet().await?, &volume).await?;
        ensure_closed(&guest)?;
    }
    Ok("ext4 and xfs, 20 to 30 to 40 GiB; a copy beside its source".to_owned())
}

/// A mounted volume of 40 GiB: from 20 to 30 GiB while it was mounted, to 40 GiB while it was not.
async fn expanded_volume(site: &Site, guest: &Guest, fs: &str) -> Result<Volume, Error> {
    let node = guest.kubelet().await?;
    let mut volume = create_encrypted(site, &format!("pvc-{fs}"), fs).await?;
    site.attach(&mut volume, 0).await?;
    mount(&node, &volume, &VolumeUse::mount(fs)).await?;
    write(guest, &volume, PLAINTEXT).await?;
    let path = target_path(&volume);
    site.expand(&volume, 30).await?;
    let bytes = node.expand(&volume, &path, 30 << 30).await?;
    let mib = guest.file_system_mib(&path)?;
    ensure(
        bytes >= 30 << 30 && mib > 29 << 10,
        format!("{fs}: NodeExpandVolume returned {bytes} bytes, the file system has {mib} MiB"),
    )?;
    unmount(&node, &volume).await?;
    site.expand(&volume, 40).await?;
    site.attach(&mut volume, 0).await?;
    mount(&node, &volume, &VolumeUse::mount(fs)).await?;
    let mib = guest.file_system_mib(&path)?;
    ensure(mib > 39 << 10, format!("{fs}: expanded while it was closed, the file system has {mib} MiB"))?;
    ensure_content(guest, &volume, PLAINTEXT)?;
    Ok(volume)
}

async fn copy_beside_its_source(site: &Site, guest: &Guest, volume: &Volume, fs: &str) -> Result<(), Error> {
    let node = guest.kubelet().await?;
    guest.sh("busybox sync")?;
    let mut copy = create_encrypted(site, &format!("pvc-copy-{fs}"), fs).await?;
    site.expand(&copy, 40).await?;
    copy_disk(site, volume, &copy)?;
    site.attach(&mut copy, 0).await?;
    copy.context.insert("eck.csi.k8s.io/content-source".to_owned(), volume.id.clone());
    mount(&node, &copy, &VolumeUse::mount(fs)).await?;
    ensure_content(guest, &copy, PLAINTEXT)?;
    let uuid = |volume: &Volume| guest.sh(&format!("cryptsetup luksUUID {}", device(guest, volume)?));
    ensure(uuid(volume)? != uuid(&copy)?, format!("{fs}: the copy has the UUID of its source"))?;
    unmount(&node, &copy).await
}

/// The disk is unplugged under writes and comes back; its header is destroyed and restored from its copy, as the guide says.
pub(super) async fn disk_unplugged_and_header_restored(image: &Image) -> Result<String, Error> {
    let site = Site::start(image, 8).await?;
    let guest = site.boot(0, false)?;
    let mut volume = create_encrypted(&site, "pvc-1", "ext4").await?;
    site.attach(&mut volume, 0).await?;
    disk_unplugged(&site, &guest, &volume).await?;
    guest.power_off();
    let guest = site.boot(0, false)?;
    let node = guest.kubelet().await?;
    mount(&node, &volume, &VolumeUse::mount("ext4")).await?;
    ensure_content(&guest, &volume, PLAINTEXT)?;
    unmount(&node, &volume).await?;
    header_restored(&guest, &volume).await?;
    Ok("the data is there after both".to_owned())
}

/// The node reports the missing disk, and releases it.
async fn disk_unplugged(site: &Site, guest: &Guest, volume: &Volume) -> Result<(), Error> {
    let node = guest.kubelet().await?;
    mount(&node, volume, &VolumeUse::mount("ext4")).await?;
    write(guest, volume, PLAINTEXT).await?;
    let unplugged = Guests::new(site.machines_folder()).unplug(&volume.id, MACHINES[0].0)?;
    ensure(unplugged, "the guest does not release the disk")?;
    let health = node.health(volume, &target_path(volume), &staging_path(volume)).await?;
    ensure(health.iter().any(|status| status.reason == "DiskMissing"), format!("{health:?}"))?;
    let unmounted = tokio::time::timeout(Duration::from_secs(60), unmount(&node, volume)).await;
    unmounted.map_err(|_| Error::check("it is not unmounted within a minute"))??;
    ensure_closed(guest)
}

/// A destroyed header is named in the refusal; with the restored one the volume can be mounted.
async fn header_restored(guest: &Guest, volume: &Volume) -> Result<(), Error> {
    let node = guest.kubelet().await?;
    let disk = device(guest, volume)?;
    guest.sh(&format!("busybox dd if=/dev/zero of={disk} bs=1M count=4 conv=notrunc,fsync 2>/dev/null"))?;
    ensure_refused(&node, volume, "ext4", Code::FailedPrecondition, "a copy of a LUKS 2 header").await?;
    guest.sh(&format!(
        "busybox dd if={disk} of=/run/header bs=32768 skip=256 count=65 2>/dev/null && cryptsetup luksHeaderRestore --batch-mode {disk} --header-backup-file /run/header"
    ))?;
    mount(&node, volume, &VolumeUse::mount("ext4")).await?;
    ensure_content(guest, volume, PLAINTEXT)
}

/// The power is cut while the header and the file system are made: the next staging makes them again, without an operator.
pub(super) async fn power_cut(image: &Image) -> Result<String, Error> {
    let class = [("encryption", "luks2")];
    let secrets = [(KEY.to_owned(), OLD.to_owned())].into();
    let cuts = [("ext4", 1), ("ext4", 2), ("ext4", 40), ("ext4", 90), ("xfs", 50), ("xfs", 120)];
    power_off_while_staging(image, &class, &secrets, &cuts).await
}
