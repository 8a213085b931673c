//! What a failed staging says of the volume's health.

use serve::chain::chain;

use crate::error::StageError;
use crate::finding::{Finding, Severity};
use crate::host::{DeviceError, FsError, LuksError, MountError};

/// What can be seen is looked at anew when it is asked; a refusal says
/// nothing of the disk's health.
pub(super) fn finding(error: &StageError) -> Option<Finding> {
    let (severity, reason) = match error {
        StageError::Fs(FsError::Damaged { .. }) => (Severity::DataLoss, "FileSystemDamaged"),
        StageError::Fs(FsError::Unsound { .. }) => (Severity::Inaccessible, "FileSystemErrors"),
        StageError::Fs(FsError::Tool { .. } | FsError::Unproven { .. }) => {
            (Severity::Inaccessible, "FileSystemToolFailed")
        }
        StageError::Luks(LuksError::Header { .. } | LuksError::Tool { .. } | LuksError::Unproven { .. }) => {
            (Severity::Inaccessible, "EncryptionFailed")
        }
        StageError::Mount(MountError::Io { .. }) => (Severity::Inaccessible, "MountFailed"),
        StageError::Device(DeviceError::Unreadable { .. })
        | StageError::Fs(FsError::Device(DeviceError::Unreadable { .. }))
        | StageError::Luks(LuksError::Device(DeviceError::Unreadable { .. })) => {
            (Severity::Inaccessible, "DiskUnreadable")
        }
        _ => return None,
    };
    Some(Finding::new(severity, reason, chain(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use eck_csi::volume::FsType;

    #[test]
    fn damage_is_data_loss_and_a_refusal_is_no_illness() {
        let (device, report) = ("vdb".to_owned(), "bad".to_owned());
        let damaged = FsError::Damaged { device: device.clone(), fs: FsType::Ext4, report };
        assert_eq!(finding(&damaged.into()).unwrap().severity, Severity::DataLoss);
        assert_eq!(finding(&StageError::AnotherVolumes { device }), None);
    }
}
