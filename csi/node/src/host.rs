//! The machine, as the node's operations see it: devices by serial, their content, file systems, mounts.
//!
//! Everything here blocks and is called from `spawn_blocking`. [`Linux`](linux::Linux) is the one implementation that ships;
//! tests wrap it to let a disk vanish between two steps.

use std::path::{Path, PathBuf};
use std::time::Instant;

use eck_csi::care::MkfsOptions;
use eck_csi::context::PublishContext;
use eck_csi::volume::FsType;
use uuid::Uuid;

pub mod content;
pub mod error;
pub mod linux;
pub mod luks;
pub mod mountinfo;
pub mod sysfs;

mod command;
mod device;
mod events;
mod filesystem;
mod mount;
mod path;

pub use content::{Content, Depth, Foreign, Formatted, FsId};
pub use error::{DeviceError, FsError, LuksError, MountError};
pub use filesystem::SLACK;
pub use luks::Luks;
pub use mountinfo::MountTable;

/// A block device whose identity was read from sysfs through the major:minor of the opened device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The kernel's name, e.g. `vdb`.
    pub name: String,
    /// Where it is opened, e.g. `/dev/vdb`.
    pub path: PathBuf,
    /// Device number.
    pub major: u64,
    /// Device number.
    pub minor: u64,
    /// The kernel's sequence number of this disk; another disk under the same name has another one. `None` before Linux 5.15.
    pub diskseq: Option<u64>,
    /// The serial that sysfs shows; of a mapping, the UUID that device mapper has for it.
    pub serial: String,
    /// Size in bytes as the kernel sees it.
    pub size_bytes: u64,
    /// True if the kernel refuses writes.
    pub read_only: bool,
}

/// An encrypted disk that is open: what device mapper made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Device mapper's name for it.
    pub name: String,
    /// The device that shows the content.
    pub device: Device,
    /// Kernel names of what it lies on; none when the disk is gone.
    pub disks: Vec<String>,
}

impl Mapping {
    /// Whether it lies on this disk, and on no other.
    pub fn lies_on(&self, disk: &Device) -> bool {
        self.disks == [disk.name.as_str()]
    }
}

/// How a file system is made: what NodeStage decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// Which file system.
    pub fs: FsType,
    /// Its UUID, derived from the volume id; see `fsid`.
    pub uuid: Uuid,
    /// Its serial number, if it is a FAT.
    pub fat: u32,
    /// What the StorageClass says of it.
    pub options: MkfsOptions,
    /// How much of the device must read as zero before it counts as blank.
    pub depth: Depth,
}

/// What a check of a file system may do to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Repair what can be repaired without loss.
    Repair,
    /// Replay the journal, as the kernel would, and write nothing else.
    Look,
}

/// Bytes and inodes of a mounted file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FsStats {
    /// Total, available to users and used, in bytes.
    pub bytes: (u64, u64, u64),
    /// Total, free and used inodes; zero where the file system has none.
    pub inodes: (u64, u64, u64),
}

/// What the node half needs of a machine.
pub trait Host: Send + Sync + 'static {
    /// Every block device that shows one of `serials` right now. More than one is for the caller to refuse.
    fn devices(&self, serials: &[String]) -> Result<Vec<Device>, DeviceError>;

    /// The machine's encrypted disks.
    fn luks(&self) -> &Luks;

    /// Waits for kernel events until exactly one device shows one of the serials and is at least `size_bytes` large.
    /// [`DeviceError::Ambiguous`] at once if two do; [`DeviceError::NotThere`] / [`DeviceError::TooSmall`] at `deadline`.
    fn wait_for_device(&self, want: &PublishContext, deadline: Instant) -> Result<Device, DeviceError>;

    /// Looks at the device again: the same serial and `diskseq` under the same major:minor, else [`DeviceError::Changed`].
    /// Gives the device as it is now (its size may have grown).
    fn recheck(&self, device: &Device) -> Result<Device, DeviceError>;

    /// Reads what the device holds, with O_DIRECT, without any foreign program.
    fn probe(&self, device: &Device, depth: Depth) -> Result<Content, DeviceError>;

    /// Whether the kernel can mount the file system, now or by loading a module. Asked before a disk is formatted.
    fn supports(&self, fs: FsType) -> bool;

    /// Probes once more on one descriptor, rechecks the identity, and only if still blank runs mkfs, never with a force flag;
    /// then verifies that the device now holds that file system with that UUID.
    fn format(&self, device: &Device, format: &Format) -> Result<(), FsError>;

    /// Checks a file system that is not mounted.
    fn check(&self, device: &Device, fs: FsType, check: Check) -> Result<(), FsError>;

    /// Gives a file system that is not mounted and whose log is replayed the UUID, and looks whether it has it now. False if the
    /// tool left the old one: the file system is whole and can be mounted all the same.
    fn set_uuid(&self, device: &Device, fs: FsType, uuid: Uuid) -> Result<bool, FsError>;

    /// Grows the mounted file system to fill the device and verifies that it did. Growing to the size it has is success.
    fn grow(&self, device: &Device, fs: FsType, mounted_at: &Path) -> Result<(), FsError>;

    /// Tells the device which blocks from `from` on, `bytes` long, the file system mounted at `at` does not use.
    fn trim(&self, at: &Path, from: u64, bytes: u64) -> Result<(), FsError>;

    /// The mount table of this process' mount namespace.
    fn mounts(&self) -> Result<MountTable, MountError>;

    /// Mounts the device's file system on the existing directory `target`; options as `mount -o` would take them.
    fn mount(
        &self,
        device: &Device,
        fs: FsType,
        target: &Path,
        options: &[String],
        read_only: bool,
    ) -> Result<(), MountError>;

    /// Binds the directory `source` on the existing directory `target`, with the per-mount options of `options`.
    fn bind(
        &self,
        source: &Path,
        target: &Path,
        options: &[String],
        read_only: bool,
    ) -> Result<(), MountError>;

    /// Binds the device's node on the existing file `target`.
    fn bind_device(&self, device: &Device, target: &Path, read_only: bool) -> Result<(), MountError>;

    /// Unmounts everything that is stacked on `target`, never lazily, never by force; works on broken file systems (EIO, ESTALE).
    fn unmount(&self, target: &Path) -> Result<(), MountError>;

    /// Makes the directory (or, for a block volume, the empty file) `target`; existing is success. Never follows a symlink.
    fn make_target(&self, target: &Path, block: bool) -> Result<(), MountError>;

    /// Removes the empty directory or the empty file `target`; absent is success. Never recursive, never follows a symlink.
    fn remove_target(&self, target: &Path) -> Result<(), MountError>;

    /// Number of the block device whose node stands at `path`; `None` if nothing or something else stands there.
    fn node_at(&self, path: &Path) -> Result<Option<(u64, u64)>, MountError>;

    /// Whole disks with a serial that somebody else uses: held exclusively, but not by a mount that is seen here. They take
    /// slots of this machine which the cluster cannot have. A disk with partitions is the machine's own.
    fn foreign_disks(&self) -> Result<u32, DeviceError>;

    /// True while anybody (this or another mount namespace, device mapper, …) holds the device exclusively.
    fn in_use(&self, device: &Device) -> Result<bool, DeviceError>;

    /// Statistics of the file system mounted at `path`.
    fn stats(&self, path: &Path) -> Result<FsStats, MountError>;

    /// Reads the device's first and last block past the page cache: whether it answers at all.
    fn answers(&self, device: &Device) -> Result<(), DeviceError>;

    /// Reads one entry of the directory `path`: whether the file system that is mounted there still works.
    fn lists(&self, path: &Path) -> Result<(), MountError>;

    /// Errors that the kernel has counted in the device's mounted file system; 0 where it counts none.
    fn errors_counted(&self, device: &Device) -> u64;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Device;

    /// A disk, for tests of what is decided about one.
    pub(crate) fn device() -> Device {
        Device {
            name: "vdb".into(),
            path: "/dev/vdb".into(),
            major: 253,
            minor: 16,
            diskseq: Some(7),
            serial: "cfebko79upsq2iuo7lkg".into(),
            size_bytes: 20 << 30,
            read_only: false,
        }
    }
}
