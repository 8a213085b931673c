//! Codes of what every operation meets: the cloud's errors, and waits for it that were given up.

use tonic::Code;

use crate::disk_reader::WaitError;

/// The code of a cloud error that no rule of the operation has caught.
pub(super) fn cloud_code(error: &ecx::Error) -> Code {
    use ecx::Error::*;
    match error {
        // Nobody has such a disk or machine: final.
        DiskNotFound(_) | InstanceNotFound(_) => Code::NotFound,
        // The machine is starting, or an order runs: ask again.
        InstanceState(_) | InProgress(_) => Code::Unavailable,
        // Something else goes on with the disk, or the token is of another request: the state must be read again first.
        DiskState(_) | TokenConflict(_) => Code::Aborted,
        // The other holder must let go first.
        AttachedElsewhere(_) => Code::FailedPrecondition,
        // The scheduler may choose another node or region.
        NoSlot(_) | Quota(_) | SoldOut(_) => Code::ResourceExhausted,
        // The request can never be carried out.
        RegionMismatch(_) | Parameter(_) => Code::InvalidArgument,
        Shrink(_) => Code::OutOfRange,
        // An operator must act; the text says at what.
        Billing(_) => Code::Internal,
        Auth(_) => Code::Unauthenticated,
        Denied(_) => Code::PermissionDenied,
        // Unknown outcome, or a fault that passes: ask again.
        Throttled { .. } | Server(_) | NoReply(_) | Unreadable(_) | Unknown(_) => Code::Unavailable,
    }
}

/// The code, but where keys or rights are refused: they come back, and what a controller before this one may have ordered is not given up
/// for them.
pub(super) fn not_given_up(code: Code) -> Code {
    if matches!(code, Code::PermissionDenied | Code::Unauthenticated) { Code::Unavailable } else { code }
}

/// The code of a wait for the cloud that ended without what was waited for.
pub(super) fn wait_code(error: &WaitError) -> Code {
    match error {
        WaitError::Cloud(error) => cloud_code(error),
        // The cloud still works on it; the retry looks again.
        WaitError::TooLong { .. } => Code::DeadlineExceeded,
    }
}
