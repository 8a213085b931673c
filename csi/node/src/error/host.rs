//! The codes of what the machine says: the same, whichever operation it is said to.

use tonic::Code;

use crate::host::{DeviceError, FsError, LuksError, MountError};

pub(super) fn device_code(error: &DeviceError) -> Code {
    match error {
        // The machine has not shown the disk, or not the whole of it, yet; or it failed for a moment: ask again.
        DeviceError::NotThere { .. } | DeviceError::TooSmall { .. } => Code::Unavailable,
        DeviceError::Unreadable { .. } | DeviceError::Changed { .. } => Code::Unavailable,
        // No retry tells the two apart; a person must.
        DeviceError::Ambiguous { .. } => Code::FailedPrecondition,
        DeviceError::Io { .. } => Code::Internal,
    }
}

pub(super) fn fs_code(error: &FsError) -> Code {
    match error {
        FsError::Device(error) => device_code(error),
        // There is data; nothing of ours may go on.
        FsError::NotBlank { .. } | FsError::InUse { .. } => Code::FailedPrecondition,
        // A person must look at it.
        FsError::Damaged { .. } | FsError::Unsound { .. } => Code::FailedPrecondition,
        FsError::CannotGrow { .. } => Code::FailedPrecondition,
        FsError::Tool { .. } | FsError::NoTool { .. } | FsError::Unproven { .. } => Code::Internal,
    }
}

pub(super) fn luks_code(error: &LuksError) -> Code {
    match error {
        LuksError::Device(error) => device_code(error),
        // A person must look: at the data, at the key, at who holds the disk.
        LuksError::NotBlank { .. } | LuksError::WrongKey { .. } | LuksError::Header { .. } => {
            Code::FailedPrecondition
        }
        // Whoever uses it may end.
        LuksError::InUse { .. } => Code::Unavailable,
        LuksError::Tool { .. } | LuksError::NoTool { .. } | LuksError::Unproven { .. } => Code::Internal,
    }
}

pub(super) fn mount_code(error: &MountError) -> Code {
    match error {
        // The request named a path that is never followed, or options that the file system does not have.
        MountError::Path { .. } | MountError::Options { .. } => Code::InvalidArgument,
        // This node cannot, another one may.
        MountError::NoFileSystem { .. } | MountError::Occupied { .. } => Code::FailedPrecondition,
        // Whoever uses it may end.
        MountError::Busy { .. } => Code::Unavailable,
        MountError::Io { .. } => Code::Internal,
    }
}
