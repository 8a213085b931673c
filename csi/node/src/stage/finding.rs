//! What a failed staging says of the volume's health.

use serve::chain::chain;

use crate::error::StageError;
use crate::finding::{Finding, Severity};
use crate::host::{DeviceError, FsError, HostError, LuksError, MountError};

/// What can be seen is looked at anew when it is asked; a refusal says
/// nothing of the disk's health.
pub(super) fn finding(error: &StageError) -> Option<Finding> {
    let (severity, reason) = match error {
        StageError::Host(error) => host_reason(error)?,
        // Refusals: they say what the request wants of the disk, and nothing of the disk's health.
        StageError::PathOccupied { .. }
        | StageError::Incompatible { .. }
        | StageError::OtherVolume { .. }
        | StageError::NotEncrypted { .. }
        | StageError::OtherFileSystem { .. }
        | StageError::Foreign { .. }
        | StageError::BlankCopy { .. }
        | StageError::BlankReadOnly { .. }
        | StageError::ReadOnlyDevice { .. } => return None,
    };
    Some(Finding::new(severity, reason, chain(error)))
}

/// Severity and reason; `None` for what is looked at anew whenever health is asked for, and for refusals.
fn host_reason(error: &HostError) -> Option<(Severity, &'static str)> {
    match error {
        HostError::Device(error) => match error {
            DeviceError::Unreadable { .. } => Some((Severity::Inaccessible, "DiskUnreadable")),
            DeviceError::NotFound { .. }
            | DeviceError::TooSmall { .. }
            | DeviceError::Ambiguous { .. }
            | DeviceError::Changed { .. }
            | DeviceError::Io { .. } => None,
        },
        HostError::Fs(error) => match error {
            FsError::Damaged { .. } => Some((Severity::DataLoss, "FileSystemDamaged")),
            FsError::Unsound { .. } => Some((Severity::Inaccessible, "FileSystemErrors")),
            FsError::Tool { .. } | FsError::Unproven { .. } => {
                Some((Severity::Inaccessible, "FileSystemToolFailed"))
            }
            FsError::NotBlank { .. }
            | FsError::InUse { .. }
            | FsError::NoTool { .. }
            | FsError::CannotGrow { .. } => None,
        },
        HostError::Luks(error) => match error {
            LuksError::Header { .. } | LuksError::Tool { .. } | LuksError::Unproven { .. } => {
                Some((Severity::Inaccessible, "EncryptionFailed"))
            }
            LuksError::NotBlank { .. }
            | LuksError::InUse { .. }
            | LuksError::WrongKey { .. }
            | LuksError::NoTool { .. } => None,
        },
        HostError::Mount(error) => match error {
            MountError::Io { .. } => Some((Severity::Inaccessible, "MountFailed")),
            MountError::Path { .. }
            | MountError::Occupied { .. }
            | MountError::NoFileSystem { .. }
            | MountError::Options { .. }
            | MountError::Busy { .. } => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eck_csi::volume::FsType;

    #[test]
    fn damage_is_data_loss_and_a_refusal_is_no_illness() {
        let (device, report) = ("vdb".to_owned(), "bad".to_owned());
        let damaged = FsError::Damaged { device: device.clone(), fs: FsType::Ext4, report };
        assert_eq!(finding(&HostError::from(damaged).into()).unwrap().severity, Severity::DataLoss);
        assert_eq!(finding(&StageError::OtherVolume { device }), None);
    }
}
