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
    use std::io::ErrorKind;

    const FS: FsType = FsType::Ext4;

    fn told(error: impl Into<HostError>) -> Option<(Severity, &'static str)> {
        finding(&StageError::from(error.into())).map(|finding| (finding.severity, finding.reason))
    }

    fn vdb() -> String {
        "vdb".to_owned()
    }

    #[test]
    fn damage_is_data_loss_and_its_message_says_where() {
        let damaged = FsError::Damaged { device: vdb(), fs: FS, report: "bad".into() };
        let told = finding(&HostError::from(damaged).into()).unwrap();
        assert_eq!((told.severity, told.reason), (Severity::DataLoss, "FileSystemDamaged"));
        assert!(told.message.contains("vdb") && told.message.contains("bad"), "{}", told.message);
    }

    #[test]
    fn a_refusal_is_no_illness() {
        assert_eq!(finding(&StageError::OtherVolume { device: vdb() }), None);
        assert_eq!(finding(&StageError::ReadOnlyDevice { device: vdb() }), None);
        assert_eq!(told(FsError::NotBlank { device: vdb(), found: "data".into() }), None);
        assert_eq!(told(LuksError::WrongKey { device: vdb() }), None);
        assert_eq!(told(MountError::NoFileSystem { fs: FS }), None);
    }

    #[test]
    fn what_can_be_looked_at_anew_is_not_remembered() {
        assert_eq!(told(DeviceError::NotFound { serials: "x".into() }), None);
        assert_eq!(told(DeviceError::Changed { device: vdb(), what: "it is gone".into() }), None);
        assert_eq!(told(MountError::Busy { path: "/staging".into() }), None);
    }

    #[test]
    fn what_cannot_be_used_for_its_own_sake_is_inaccessible() {
        let (status, stderr, what) = (|| "exit status: 8".to_owned(), String::new, || "is blank".to_owned());
        let unreadable = DeviceError::Unreadable { device: vdb(), at: 0, errno: nix::errno::Errno::EIO };
        let tool = FsError::Tool { program: "mkfs.ext4", device: vdb(), status: status(), stderr: stderr() };
        let unproven = FsError::Unproven { program: "mkfs.ext4", device: vdb(), what: what() };
        let cryptsetup =
            LuksError::Tool { action: "open", device: vdb(), status: status(), stderr: stderr() };
        let source = || ErrorKind::Other.into();
        for (told, reason) in [
            (told(unreadable), "DiskUnreadable"),
            (told(FsError::Unsound { device: vdb(), fs: FS, report: String::new() }), "FileSystemErrors"),
            (told(tool), "FileSystemToolFailed"),
            (told(unproven), "FileSystemToolFailed"),
            (told(cryptsetup), "EncryptionFailed"),
            (told(LuksError::Unproven { device: vdb(), what: what() }), "EncryptionFailed"),
            (told(MountError::Io { what: "mount".into(), source: source() }), "MountFailed"),
        ] {
            assert_eq!(told, Some((Severity::Inaccessible, reason)));
        }
        assert_eq!(
            told(FsError::NoTool { program: "mkfs.ext4", source: source() }),
            None,
            "the node's fault"
        );
    }
}
