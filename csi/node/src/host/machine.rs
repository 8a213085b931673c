//! What the node half needs of a machine, as four traits. Everything here blocks and is called on threads for blocking work.
//!
//! Each method does its work on the real machine by one call into the file that knows how. [`Linux`] is all of them as they are; a
//! test's machine writes anew what it changes and nothing else.

use std::path::Path;
use std::time::Instant;

use eck_csi::context::PublishContext;
use eck_csi::volume::{DiskId, FsType};
use uuid::Uuid;

use super::content::{Content, Depth};
use super::device::{Device, Mapping};
#[cfg(doc)]
use super::error::DeviceError;
use super::error::HostError;
use super::filesystem::{Check, Format};
use super::luks::{Header, Luks, MappingOptions, NewHeader};
use super::mounted::FsStats;
use super::mountinfo::MountTable;
use super::opened::Opened;
use super::sysfs::Sysfs;
use super::{filesystem, foreign, mount, mounted, opened, wait};
use crate::key::Key;

/// A machine, known by its sysfs.
pub trait Machine: Send + Sync + 'static {
    /// Its sysfs.
    fn sysfs(&self) -> &Sysfs;
}

/// All that the node half needs.
pub trait Host: Devices + Filesystems + Mounts + Encryption {}

impl<T: Devices + Filesystems + Mounts + Encryption> Host for T {}

/// The machine that this program runs on.
#[derive(Debug, Clone)]
pub struct Linux {
    sysfs: Sysfs,
}

impl Linux {
    /// `root` is the folder that holds `sys`: `/`, or a tree that shows loop devices as disks with serials.
    pub fn new(root: &Path) -> Self {
        Self { sysfs: Sysfs::new(root) }
    }
}

impl Machine for Linux {
    fn sysfs(&self) -> &Sysfs {
        &self.sysfs
    }
}

impl Devices for Linux {}

impl Filesystems for Linux {}

impl Mounts for Linux {}

impl Encryption for Linux {}

/// Block devices by serial, and what they hold.
pub trait Devices: Machine {
    /// Every block device that shows one of `serials` right now. More than one is for the caller to refuse.
    fn devices(&self, serials: &[String]) -> Result<Vec<Device>, HostError> {
        Ok(self.sysfs().devices(serials)?)
    }

    /// Waits for kernel events until exactly one device shows one of the serials and is at least `size_bytes` large.
    /// [`DeviceError::Ambiguous`] at once if two do; [`DeviceError::NotFound`] / [`DeviceError::TooSmall`] at `deadline`.
    fn wait_for_device(&self, want: &PublishContext, deadline: Instant) -> Result<Device, HostError> {
        Ok(wait::wait_for_device(self.sysfs(), want, deadline)?)
    }

    /// Looks at the device again: the same serial and `diskseq` under the same major:minor, else [`DeviceError::Changed`].
    /// Gives the device as it is now (its size may have grown).
    fn recheck(&self, device: &Device) -> Result<Device, HostError> {
        Ok(self.sysfs().recheck(device)?)
    }

    /// Reads what the device holds, with O_DIRECT, without any foreign program.
    fn probe(&self, device: &Device, depth: Depth) -> Result<Content, HostError> {
        Ok(Opened::direct(device)?.probe(device, depth)?)
    }

    /// Reads the device's first and last block past the page cache: whether it answers at all.
    fn responds(&self, device: &Device) -> Result<(), HostError> {
        Ok(Opened::direct(device)?.responds(device)?)
    }

    /// True while anybody (this or another mount namespace, device mapper, …) holds the device exclusively.
    fn in_use(&self, device: &Device) -> Result<bool, HostError> {
        Ok(opened::in_use(device)?)
    }

    /// Whole disks with a serial that somebody else uses: held exclusively, but not by a mount that is seen here. They take
    /// slots of this machine which the cluster cannot have. A disk with partitions is the machine's own.
    fn foreign_disks(&self) -> Result<u32, HostError> {
        foreign::foreign_disks(self.sysfs())
    }
}

/// File systems: making, checking and growing them.
pub trait Filesystems: Machine {
    /// Whether the kernel can mount the file system, now or by loading a module. Asked before a disk is formatted.
    fn supports(&self, fs: FsType) -> bool {
        mount::supports(fs)
    }

    /// Probes once more on one descriptor, rechecks the identity, and only if still blank runs mkfs, never with a force flag;
    /// then verifies that the device now holds that file system with that UUID.
    fn format(&self, device: &Device, format: &Format) -> Result<(), HostError> {
        filesystem::format(self.sysfs(), device, format)
    }

    /// Checks a file system that is not mounted.
    fn check(&self, device: &Device, fs: FsType, check: Check) -> Result<(), HostError> {
        Ok(filesystem::check(device, fs, check)?)
    }

    /// Gives a file system that is not mounted and whose log is replayed the UUID, and looks whether it has it now. False if the
    /// tool left the old one: the file system is whole and can be mounted all the same.
    fn set_uuid(&self, device: &Device, fs: FsType, uuid: Uuid) -> Result<bool, HostError> {
        filesystem::set_uuid(self.sysfs(), device, fs, uuid)
    }

    /// Grows the mounted file system to fill the device and verifies that it did. Growing to the size it has is success.
    fn grow(&self, device: &Device, fs: FsType, mounted_at: &Path) -> Result<(), HostError> {
        filesystem::grow(device, fs, mounted_at)
    }

    /// Tells the device which blocks from `from` on, `bytes` long, the file system mounted at `at` does not use.
    fn trim(&self, at: &Path, from: u64, bytes: u64) -> Result<(), HostError> {
        Ok(filesystem::trim(at, from, bytes)?)
    }

    /// Statistics of the file system mounted at `path`.
    fn stats(&self, path: &Path) -> Result<FsStats, HostError> {
        Ok(mounted::stats(path)?)
    }

    /// Reads one entry of the directory `path`: whether the file system that is mounted there still works.
    fn can_list(&self, path: &Path) -> Result<(), HostError> {
        Ok(mounted::can_list(path)?)
    }

    /// Errors that the kernel has counted in the device's mounted file system; 0 where it counts none.
    fn errors_counted(&self, device: &Device) -> u64 {
        mounted::errors_counted(device)
    }
}

/// Mounts, and the directories and files that are mounted on.
pub trait Mounts: Machine {
    /// The mount table of this process' mount namespace.
    fn mounts(&self) -> Result<MountTable, HostError> {
        Ok(mount::table()?)
    }

    /// Mounts the device's file system on the existing directory `target`; options as `mount -o` would take them.
    fn mount(
        &self,
        device: &Device,
        fs: FsType,
        target: &Path,
        options: &[String],
        read_only: bool,
    ) -> Result<(), HostError> {
        Ok(mount::mount(device, fs, target, options, read_only)?)
    }

    /// Binds the directory `source` on the existing directory `target`, with the per-mount options of `options`.
    fn bind(
        &self,
        source: &Path,
        target: &Path,
        options: &[String],
        read_only: bool,
    ) -> Result<(), HostError> {
        Ok(mount::bind(source, target, options, read_only)?)
    }

    /// Binds the device's node on the existing file `target`.
    fn bind_device(&self, device: &Device, target: &Path, read_only: bool) -> Result<(), HostError> {
        Ok(mount::bind(&device.path, target, &[], read_only)?)
    }

    /// Unmounts everything that is stacked on `target`, never lazily, never by force; works on broken file systems (EIO, ESTALE).
    fn unmount(&self, target: &Path) -> Result<(), HostError> {
        Ok(mount::unmount(target)?)
    }

    /// Makes the directory (or, for a block volume, the empty file) `target`; existing is success. Never follows a symlink.
    fn make_target(&self, target: &Path, block: bool) -> Result<(), HostError> {
        Ok(mount::make_target(target, block)?)
    }

    /// Removes the empty directory or the empty file `target`; absent is success. Never recursive, never follows a symlink.
    fn remove_target(&self, target: &Path) -> Result<(), HostError> {
        Ok(mount::remove_target(target)?)
    }

    /// Number of the block device whose node stands at `path`; `None` if nothing or something else stands there.
    fn block_device_at(&self, path: &Path) -> Result<Option<(u64, u64)>, HostError> {
        Ok(mount::block_device_at(path)?)
    }
}

/// LUKS2 headers, and the mappings through which encrypted disks are read and written.
pub trait Encryption: Machine {
    /// The disk's mapping, wherever it lies.
    fn mapping(&self, disk: &DiskId) -> Result<Option<Mapping>, HostError> {
        Ok(Luks::new(self.sysfs()).mapping(disk)?)
    }

    /// The disk's mapping, if it lies on `device`.
    fn mapping_on(&self, disk: &DiskId, device: &Device) -> Result<Option<Mapping>, HostError> {
        Ok(self.mapping(disk)?.filter(|mapping| mapping.lies_on(device)))
    }

    /// The device that shows the volume's content: the mapping on `device`, or, where there is none, the device itself.
    fn content_device(&self, disk: &DiskId, device: &Device) -> Result<Device, HostError> {
        let mapping = self.mapping_on(disk, device)?;
        Ok(mapping.map_or_else(|| device.clone(), |mapping| mapping.device))
    }

    /// What the disk's header says.
    fn header(&self, disk: &Device) -> Result<Header, HostError> {
        Luks::new(self.sysfs()).header(disk)
    }

    /// Makes the header of a disk that is blank, or on which this very header was begun.
    fn make_header(&self, disk: &Device, new: &NewHeader<'_>) -> Result<(), HostError> {
        Luks::new(self.sysfs()).make_header(disk, new)
    }

    /// Gives a copy's header the identity of its volume.
    fn set_header_uuid(&self, disk: &Device, uuid: Uuid) -> Result<(), HostError> {
        Luks::new(self.sysfs()).set_header_uuid(disk, uuid)
    }

    /// Takes a token away from the header.
    fn remove_token(&self, disk: &Device, id: u32) -> Result<(), HostError> {
        Luks::new(self.sysfs()).remove_token(disk, id)
    }

    /// Makes the copy of the header what the header is.
    fn copy_header(&self, disk: &Device) -> Result<(), HostError> {
        Luks::new(self.sysfs()).copy_header(disk)
    }

    /// Whether the key opens a key slot.
    fn opens(&self, disk: &Device, key: &Key) -> Result<bool, HostError> {
        Luks::new(self.sysfs()).opens(disk, key)
    }

    /// Adds the key `new`, which `known` allows.
    fn add_key(&self, disk: &Device, known: &Key, new: &Key) -> Result<(), HostError> {
        Luks::new(self.sysfs()).add_key(disk, known, new)
    }

    /// Takes the key's slot away. Another key must be known to open the volume: cryptsetup would take the last one as well.
    fn remove_key(&self, disk: &Device, key: &Key) -> Result<(), HostError> {
        Luks::new(self.sysfs()).remove_key(disk, key)
    }

    /// Opens the disk; gives the device that shows its content.
    fn open(
        &self,
        disk: &Device,
        id: &DiskId,
        key: &Key,
        options: MappingOptions,
    ) -> Result<Device, HostError> {
        Luks::new(self.sysfs()).open(disk, id, key, options)
    }

    /// Makes a mapping as large as its disk is now; gives the device that shows the content.
    fn resize(&self, mapping: &Mapping) -> Result<Device, HostError> {
        Luks::new(self.sysfs()).resize(mapping)
    }

    /// Closes a mapping that nobody uses; its disk may be gone.
    fn close(&self, mapping: &Mapping) -> Result<(), HostError> {
        Luks::new(self.sysfs()).close(mapping)
    }

    /// Makes a mapping blank that nobody has ever used: what has never been written decrypts to noise.
    fn blank(&self, mapping: &Device) -> Result<(), HostError> {
        Luks::new(self.sysfs()).blank(mapping)
    }
}
