//! What can go wrong with devices, file systems and mounts. Each variant names the thing and keeps the cause.

use std::io;
use std::path::PathBuf;

use eck_csi::volume::FsType;
use nix::errno::Errno;

use super::luks::header::BadHeader;

/// A device: finding it, reading it, making sure that it is still the same one.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No device shows one of the serials (yet).
    #[error("no block device has a serial of {serials}")]
    NotThere {
        /// The serials looked for, joined by commas.
        serials: String,
    },
    /// The device is there, but the kernel does not show the whole of it (yet).
    #[error("{device} has {has} bytes and the volume needs {needs}")]
    TooSmall {
        /// Kernel name.
        device: String,
        /// Bytes that the kernel shows.
        has: u64,
        /// Bytes that the cloud told.
        needs: u64,
    },
    /// Two devices show the serial: nobody can tell which is the volume.
    #[error("the serials {serials} are shown by several block devices, {devices}: none of them is touched")]
    Ambiguous {
        /// The serials looked for, joined by commas.
        serials: String,
        /// Kernel names, joined by commas.
        devices: String,
    },
    /// Another disk, or none, stands under the name where ours was.
    #[error("{device} is not the disk any more that it was a moment ago: {what}")]
    Changed {
        /// Kernel name.
        device: String,
        /// What is different.
        what: String,
    },
    /// The kernel could not read the device: nothing is known of its content.
    #[error("{device} cannot be read at byte {at}")]
    Unreadable {
        /// Kernel name.
        device: String,
        /// Where the read failed.
        at: u64,
        /// The kernel's answer.
        #[source]
        errno: Errno,
    },
    /// A system call or a file of sysfs failed.
    #[error("{what}")]
    Io {
        /// What was tried, with its path.
        what: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

/// Making, checking and growing a file system.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// The device failed or changed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Right before mkfs the device was not blank any more.
    #[error("{device} was blank a moment ago and now holds {found}: it is not formatted")]
    NotBlank {
        /// Kernel name.
        device: String,
        /// What it holds.
        found: String,
    },
    /// Somebody holds the device exclusively.
    #[error("{device} is in use: it is not formatted")]
    InUse {
        /// Kernel name.
        device: String,
    },
    /// The program ran and failed.
    #[error("{program} on {device} failed ({status}): {stderr}")]
    Tool {
        /// E.g. `mkfs.ext4`.
        program: &'static str,
        /// Kernel name.
        device: String,
        /// Exit status.
        status: String,
        /// The end of what it wrote.
        stderr: String,
    },
    /// The program cannot be run.
    #[error("{program} cannot be run")]
    NoTool {
        /// E.g. `mkfs.ext4`.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The check found damage that cannot be repaired without loss.
    #[error("the {fs} file system on {device} is damaged beyond automatic repair: {report}")]
    Damaged {
        /// Kernel name.
        device: String,
        /// File system.
        fs: FsType,
        /// What the check wrote.
        report: String,
    },
    /// The check found errors, and is not to repair them.
    #[error("the {fs} file system on {device} has errors and fsckPolicy check repairs nothing: {report}")]
    Unsound {
        /// Kernel name.
        device: String,
        /// File system.
        fs: FsType,
        /// What the check wrote.
        report: String,
    },
    /// There is no tool that grows it.
    #[error("a {fs} file system cannot grow; {device} is larger now and its file system is as before")]
    CannotGrow {
        /// Kernel name.
        device: String,
        /// File system.
        fs: FsType,
    },
    /// The program said yes, but the device does not show it.
    #[error("{program} ended well, but {device} {what}")]
    Unproven {
        /// E.g. `mkfs.ext4`.
        program: &'static str,
        /// Kernel name.
        device: String,
        /// What is missing.
        what: String,
    },
}

/// Encrypting a disk, opening it and closing it.
#[derive(Debug, thiserror::Error)]
pub enum LuksError {
    /// The device failed or changed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Right before the header was made the device was not blank any more.
    #[error("{device} was blank a moment ago and now holds {found}: it is not encrypted")]
    NotBlank {
        /// Kernel name.
        device: String,
        /// What it holds.
        found: String,
    },
    /// Somebody holds the device exclusively.
    #[error("{device} is in use: it is neither encrypted nor closed")]
    InUse {
        /// Kernel name, or the mapping's.
        device: String,
    },
    /// No slot is opened by the key.
    #[error("the key does not open {device}: it is not the one with which the volume was encrypted")]
    WrongKey {
        /// Kernel name.
        device: String,
    },
    /// The header says something that no header can.
    #[error("the LUKS2 header of {device} cannot be taken")]
    Header {
        /// Kernel name.
        device: String,
        /// Why.
        #[source]
        source: BadHeader,
    },
    /// cryptsetup ran and failed.
    #[error("cryptsetup {action} on {device} failed ({status}): {stderr}")]
    Tool {
        /// E.g. `luksFormat`.
        action: &'static str,
        /// Kernel name.
        device: String,
        /// Exit status.
        status: String,
        /// The end of what it wrote.
        stderr: String,
    },
    /// cryptsetup cannot be run.
    #[error("cryptsetup cannot be run")]
    NoTool {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// cryptsetup said yes, but the device does not show it.
    #[error("cryptsetup ended well, but {device} {what}")]
    Unproven {
        /// Kernel name.
        device: String,
        /// What is missing.
        what: String,
    },
}

/// Mounts and their targets.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The path has a symlink or `..` in it, or is no absolute path.
    #[error("{path} is not followed: {why}")]
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// Something else stands where a directory or file of ours must be.
    #[error("{path} is {what}")]
    Occupied {
        /// The path.
        path: PathBuf,
        /// What stands there.
        what: String,
    },
    /// The kernel has no such file system.
    #[error("the kernel of this node cannot mount {fs}: it is not built in and no module brings it")]
    NoFileSystem {
        /// File system.
        fs: FsType,
    },
    /// The kernel refused an option.
    #[error("the kernel refuses to mount {device} with the options {options:?}")]
    Options {
        /// Kernel name.
        device: String,
        /// Options as given.
        options: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Somebody still uses the mount.
    #[error("{path} is in use")]
    Busy {
        /// The path.
        path: PathBuf,
    },
    /// A system call failed.
    #[error("{what}")]
    Io {
        /// What was tried, with its path.
        what: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}
