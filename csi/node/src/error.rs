//! One error enum per operation, each with its gRPC codes chosen by what the kubelet does next.
//!
//! The kubelet repeats every failed call; what it needs to know is whether something may still be going on. After
//! `DEADLINE_EXCEEDED`, `UNAVAILABLE`, `ABORTED`, `RESOURCE_EXHAUSTED` and `CANCELLED` it keeps the volume as "perhaps
//! there" and cleans up after it; the other codes say that nothing was done.

use std::path::PathBuf;

use eck_csi::volume::{FsType, VolumeId};
use serve::code::GrpcCode;
use tonic::Code;

use crate::host::{DeviceError, HostError};

serve::into_status!(SlotsError);

/// NodeStageVolume.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Something else is mounted at the staging path.
    #[error("{path} is taken: {what} is mounted there")]
    PathOccupied {
        /// Staging path.
        path: PathBuf,
        /// What is mounted.
        what: String,
    },
    /// The volume is staged there in another way.
    #[error("the volume is staged at {path} {how}; it must be unstaged first")]
    Incompatible {
        /// Staging path.
        path: PathBuf,
        /// How it is staged.
        how: String,
    },
    /// The disk carries another volume's file system or LUKS2 header.
    #[error(
        "{device} stands under this volume's serial, but what it holds was made for another volume: it is not touched"
    )]
    OtherVolume {
        /// Kernel name.
        device: String,
    },
    /// The class wants the volume encrypted, and its disk has a file system in the clear.
    #[error(
        "{device} has a {has} file system in the clear, and the volume is to be encrypted: it is neither encrypted nor mounted"
    )]
    NotEncrypted {
        /// Kernel name.
        device: String,
        /// What it has.
        has: FsType,
    },
    /// The disk has a file system, but not the one that was asked for.
    #[error("{device} has a {has} file system and {wants} was asked for: it is not touched")]
    OtherFileSystem {
        /// Kernel name.
        device: String,
        /// What it has.
        has: FsType,
        /// What was asked for.
        wants: FsType,
    },
    /// The disk holds something that this driver does not make.
    #[error("{device} is not blank: it holds {what} at byte {at}. It is neither formatted nor mounted")]
    Foreign {
        /// Kernel name.
        device: String,
        /// In words.
        what: String,
        /// Where.
        at: u64,
    },
    /// A copy of something must not be blank, and is not formatted: an empty file system in place of the data would be taken
    /// for the data.
    #[error(
        "{device} was made from {from} and is blank: the copy has no file system, and it is not formatted"
    )]
    BlankCopy {
        /// Kernel name.
        device: String,
        /// Snapshot or volume.
        from: String,
    },
    /// A blank disk cannot be mounted read-only, and is not formatted for it.
    #[error("{device} is blank and only to be read: there is nothing to mount")]
    BlankReadOnly {
        /// Kernel name.
        device: String,
    },
    /// The kernel lets nobody write, and the volume is to be written to.
    #[error("{device} is read-only in the kernel")]
    ReadOnlyDevice {
        /// Kernel name.
        device: String,
    },
    /// The machine.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl GrpcCode for StageError {
    fn code(&self) -> Code {
        match self {
            // The spec's code for a volume that is staged incompatibly.
            Self::Incompatible { .. } => Code::AlreadyExists,
            // Nothing was done and nothing will be, until a person has looked at the disk or the request has changed.
            Self::PathOccupied { .. }
            | Self::OtherVolume { .. }
            | Self::OtherFileSystem { .. }
            | Self::NotEncrypted { .. }
            | Self::Foreign { .. }
            | Self::BlankCopy { .. }
            | Self::BlankReadOnly { .. }
            | Self::ReadOnlyDevice { .. } => Code::FailedPrecondition,
            Self::Host(error) => error.code(),
        }
    }
}

/// NodeUnstageVolume and NodeUnpublishVolume.
#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    /// The disk is still held after its mount is gone.
    #[error(
        "{device} is still in use on this node: mounted at {mounts}, or held by another mount namespace or device mapper"
    )]
    InUse {
        /// Kernel name.
        device: String,
        /// Targets in this mount namespace.
        mounts: String,
    },
    /// The machine.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl GrpcCode for LeaveError {
    fn code(&self) -> Code {
        match self {
            // Not proven gone: never success, and whoever holds it may let go.
            Self::InUse { .. } => Code::Unavailable,
            Self::Host(error) => error.code(),
        }
    }
}

/// NodePublishVolume.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The volume's file system is not mounted at the staging path.
    #[error("the volume is not staged at {staging}")]
    NotStaged {
        /// Staging path.
        staging: PathBuf,
    },
    /// Something else is mounted at the target.
    #[error("{path} is taken: {what} is mounted there")]
    PathOccupied {
        /// Target path.
        path: PathBuf,
        /// What is mounted.
        what: String,
    },
    /// The volume is published at the target in another way.
    #[error("the volume is published at {path} {how}; it must be unpublished first")]
    Incompatible {
        /// Target path.
        path: PathBuf,
        /// How.
        how: &'static str,
    },
    /// The volume may have one target only and has one.
    #[error("the volume is published at {other} and may be at one path only (SINGLE_NODE_SINGLE_WRITER)")]
    NotAlone {
        /// The other target.
        other: PathBuf,
    },
    /// After the bind the target does not show the volume.
    #[error("{path} does not show the volume after it was bound there")]
    Unproven {
        /// Target path.
        path: PathBuf,
    },
    /// The machine.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl GrpcCode for PublishError {
    fn code(&self) -> Code {
        match self {
            // The spec's code for a volume published incompatibly at the target.
            Self::Incompatible { .. } => Code::AlreadyExists,
            // The spec's codes for a missing stage and for SINGLE_NODE_SINGLE_WRITER.
            Self::NotStaged { .. } | Self::NotAlone { .. } | Self::PathOccupied { .. } => {
                Code::FailedPrecondition
            }
            Self::Unproven { .. } => Code::Internal,
            Self::Host(error) => error.code(),
        }
    }
}

/// NodeExpandVolume.
#[derive(Debug, thiserror::Error)]
pub enum ExpandError {
    /// The volume is not at the path.
    #[error("there is no volume {volume} at {path}")]
    NotFound {
        /// Volume.
        volume: String,
        /// Path.
        path: PathBuf,
    },
    /// The mounted file system is none that the driver makes.
    #[error("{path} has a {fs} file system, which this driver does not grow")]
    UnknownFs {
        /// Path.
        path: PathBuf,
        /// The kernel's name.
        fs: String,
    },
    /// The machine.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl GrpcCode for ExpandError {
    fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::NotFound,
            Self::UnknownFs { .. } => Code::FailedPrecondition,
            Self::Host(error) => error.code(),
        }
    }
}

/// The weekly trim of a volume. Nobody waits for it: the code is a word in a log.
#[derive(Debug, thiserror::Error)]
pub enum TrimError {
    /// The volume is not mounted for writing here.
    #[error("{disk} is not mounted for writing on this node")]
    NotFound {
        /// Disk.
        disk: String,
    },
    /// The machine.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl GrpcCode for TrimError {
    fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::NotFound,
            Self::Host(error) => error.code(),
        }
    }
}

/// NodeGetVolumeStats.
#[derive(Debug, thiserror::Error)]
pub enum StatsError {
    /// The volume is not at the path.
    #[error("there is no volume at {path}")]
    NotFound {
        /// Path.
        path: PathBuf,
    },
    /// The file system did not answer.
    #[error("{path} does not answer: its disk or its file system hangs")]
    Hangs {
        /// Path.
        path: PathBuf,
    },
    /// The probe could not begin.
    #[error("no thread for a probe")]
    NoThread(#[from] std::io::Error),
    /// The machine.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl GrpcCode for StatsError {
    fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::NotFound,
            Self::Hangs { .. } => Code::DeadlineExceeded,
            // The machine may have one when it is asked again.
            Self::NoThread(_) => Code::Unavailable,
            // A disk that is not here has no statistics here.
            Self::Host(HostError::Device(DeviceError::NotFound { .. })) => Code::NotFound,
            Self::Host(error) => error.code(),
        }
    }
}

/// NodeGetVolumeHealth. What is wrong with a volume is no error but the answer.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// This node knows nothing of the volume.
    #[error("there is no volume {volume} on this node")]
    NotFound {
        /// Volume.
        volume: VolumeId,
    },
    /// The probe could not begin.
    #[error("no thread for a probe")]
    NoThread(#[from] std::io::Error),
    /// The machine.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl GrpcCode for HealthError {
    fn code(&self) -> Code {
        match self {
            // The spec's code for a volume that does not exist on the node.
            Self::NotFound { .. } => Code::NotFound,
            Self::NoThread(_) => Code::Unavailable,
            Self::Host(error) => error.code(),
        }
    }
}

/// NodeGetInfo.
#[derive(Debug, thiserror::Error)]
#[error("the disks that others use cannot be counted")]
pub(crate) struct SlotsError(#[from] HostError);

impl GrpcCode for SlotsError {
    fn code(&self) -> Code {
        // The kubelet asks again.
        Code::Unavailable
    }
}
