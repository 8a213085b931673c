//! What this process was asked to stage, so that health can be told of a volume whose disk is gone. Lost at a restart: then a
//! volume is known by what is mounted and by the paths that the kubelet names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eck_csi::volume::VolumeId;
use serve::chain::chain;

use crate::error::StageError;
use crate::health::{Finding, Severity};
use crate::host::{DeviceError, FsError, LuksError, MountError};
use crate::request::{Stage, Want};

/// How the last NodeStageVolume of a volume ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tried {
    /// A block volume.
    Block,
    /// Its file system was mounted here.
    Mounted(PathBuf),
    /// It failed, and this is what that says of the volume's health, if anything.
    Failed(Option<Finding>),
}

impl Tried {
    /// What the failure said.
    pub(crate) fn finding(&self) -> Option<Finding> {
        match self {
            Self::Failed(finding) => finding.clone(),
            Self::Block | Self::Mounted(_) => None,
        }
    }

    /// Where its file system must be mounted.
    pub(crate) fn mounted(&self) -> Option<&Path> {
        match self {
            Self::Mounted(path) => Some(path),
            Self::Block | Self::Failed(_) => None,
        }
    }
}

/// The volumes. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<Mutex<HashMap<VolumeId, Tried>>>);

impl Known {
    fn lock(&self) -> MutexGuard<'_, HashMap<VolumeId, Tried>> {
        // A panic cannot leave the map half-changed: every change is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how staging ended.
    pub(crate) fn staged_as(&self, q: &Stage, failure: Option<&StageError>) {
        let tried = match (failure, &q.want) {
            (Some(error), _) => Tried::Failed(finding(error)),
            (None, Want::Block) => Tried::Block,
            (None, Want::Mount { .. }) => Tried::Mounted(q.staging.clone()),
        };
        self.lock().insert(q.volume.clone(), tried);
    }

    /// Notes that the volume is here no more.
    pub(crate) fn left(&self, volume: &VolumeId) {
        self.lock().remove(volume);
    }

    /// How the volume's last staging ended.
    pub(crate) fn of(&self, volume: &VolumeId) -> Option<Tried> {
        self.lock().get(volume).cloned()
    }

    /// Every volume that is staged.
    pub(crate) fn staged(&self) -> Vec<VolumeId> {
        let staged = |(volume, tried): (&VolumeId, &Tried)| match tried {
            Tried::Block | Tried::Mounted(_) => Some(volume.clone()),
            Tried::Failed(_) => None,
        };
        self.lock().iter().filter_map(staged).collect()
    }
}

/// What a failed staging says of the volume's health. What can be seen is looked at anew when it is asked; a refusal says
/// nothing of the disk's health.
fn finding(error: &StageError) -> Option<Finding> {
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
    fn a_volume_is_known_until_it_is_unstaged() {
        let (known, volume) = (Known::default(), VolumeId::parse("cd-a".into()).unwrap());
        known.lock().insert(volume.clone(), Tried::Mounted("/staging".into()));
        assert_eq!(known.staged(), std::slice::from_ref(&volume));
        assert_eq!(known.of(&volume).unwrap().mounted(), Some(Path::new("/staging")));
        known.left(&volume);
        assert!(known.of(&volume).is_none());
    }

    #[test]
    fn damage_is_data_loss_and_a_refusal_is_no_illness() {
        let (device, report) = ("vdb".to_owned(), "bad".to_owned());
        let damaged = FsError::Damaged { device: device.clone(), fs: FsType::Ext4, report };
        assert_eq!(finding(&damaged.into()).unwrap().severity, Severity::DataLoss);
        assert_eq!(finding(&StageError::AnotherVolumes { device }), None);
    }
}
