//! What can go wrong with devices, file systems and mounts. Each variant names the thing and keeps the cause; its code is the same
//! whichever operation it is said to.

use std::io;
use std::path::PathBuf;

use eck_csi::volume::FsType;
use nix::errno::Errno;
use serve::code::GrpcCode;
use tonic::Code;

use super::luks::header::BadHeader;

/// What the machine says, whichever operation it is said to.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A file system.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// An encrypted disk.
    #[error(transparent)]
    Luks(#[from] LuksError),
    /// A mount, or the target of one.
    #[error(transparent)]
    Mount(#[from] MountError),
}

impl GrpcCode for HostError {
    fn code(&self) -> Code {
        match self {
            Self::Device(error) => error.code(),
            Self::Fs(error) => error.code(),
            Self::Luks(error) => error.code(),
            Self::Mount(error) => error.code(),
        }
    }
}

/// A device: finding it, reading it, making sure that it is still the same one.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No device shows one of the serials (yet).
    #[error("no block device has a serial of {serials}")]
    NotFound {
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

impl GrpcCode for DeviceError {
    fn code(&self) -> Code {
        match self {
            // The machine has not shown the disk, or not the whole of it, yet; or it failed for a moment: ask again.
            Self::NotFound { .. } | Self::TooSmall { .. } => Code::Unavailable,
            Self::Unreadable { .. } | Self::Changed { .. } => Code::Unavailable,
            // No retry tells the two apart; a person must.
            Self::Ambiguous { .. } => Code::FailedPrecondition,
            Self::Io { .. } => Code::Internal,
        }
    }
}

/// Making, checking and growing a file system.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
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

impl GrpcCode for FsError {
    fn code(&self) -> Code {
        match self {
            // There is data; nothing of ours may go on.
            Self::NotBlank { .. } | Self::InUse { .. } => Code::FailedPrecondition,
            // A person must look at it.
            Self::Damaged { .. } | Self::Unsound { .. } => Code::FailedPrecondition,
            Self::CannotGrow { .. } => Code::FailedPrecondition,
            Self::Tool { .. } | Self::NoTool { .. } | Self::Unproven { .. } => Code::Internal,
        }
    }
}

/// Encrypting a disk, opening it and closing it.
#[derive(Debug, thiserror::Error)]
pub enum LuksError {
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

impl GrpcCode for LuksError {
    fn code(&self) -> Code {
        match self {
            // A person must look: at the data, at the key, at who holds the disk.
            Self::NotBlank { .. } | Self::WrongKey { .. } | Self::Header { .. } => Code::FailedPrecondition,
            // Whoever uses it may end.
            Self::InUse { .. } => Code::Unavailable,
            Self::Tool { .. } | Self::NoTool { .. } | Self::Unproven { .. } => Code::Internal,
        }
    }
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

impl GrpcCode for MountError {
    fn code(&self) -> Code {
        match self {
            // The request named a path that is never followed, or options that the file system does not have.
            Self::Path { .. } | Self::Options { .. } => Code::InvalidArgument,
            // This node cannot, another one may.
            Self::NoFileSystem { .. } | Self::Occupied { .. } => Code::FailedPrecondition,
            // Whoever uses it may end.
            Self::Busy { .. } => Code::Unavailable,
            Self::Io { .. } => Code::Internal,
        }
    }
}
