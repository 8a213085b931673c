//! What this process was asked to stage, so that health can be told of a volume whose disk is gone. Lost at a restart: then a
//! volume is known by what is mounted and by the paths that the kubelet names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eck_csi::volume::VolumeId;
use parking_lot::Mutex;

use crate::finding::Finding;

/// How the last NodeStageVolume of a volume ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StageOutcome {
    /// A block volume.
    Block,
    /// Its file system was mounted here.
    Mounted(PathBuf),
    /// It failed, and this is what that says of the volume's health, if anything.
    Failed(Option<Finding>),
}

impl StageOutcome {
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
pub(crate) struct StageHistory(Arc<Mutex<HashMap<VolumeId, StageOutcome>>>);

impl StageHistory {
    /// Notes how staging ended.
    pub(crate) fn record(&self, volume: VolumeId, outcome: StageOutcome) {
        self.0.lock().insert(volume, outcome);
    }

    /// Notes that the volume is here no more.
    pub(crate) fn forget(&self, volume: &VolumeId) {
        self.0.lock().remove(volume);
    }

    /// How the volume's last staging ended.
    pub(crate) fn outcome(&self, volume: &VolumeId) -> Option<StageOutcome> {
        self.0.lock().get(volume).cloned()
    }

    /// Every volume that is staged.
    pub(crate) fn staged(&self) -> Vec<VolumeId> {
        let staged = |(volume, outcome): (&VolumeId, &StageOutcome)| match outcome {
            StageOutcome::Block | StageOutcome::Mounted(_) => Some(volume.clone()),
            StageOutcome::Failed(_) => None,
        };
        self.0.lock().iter().filter_map(staged).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_known_until_it_is_unstaged() {
        let (history, volume) = (StageHistory::default(), VolumeId::parse("cd-a".into()).unwrap());
        history.record(volume.clone(), StageOutcome::Mounted("/staging".into()));
        assert_eq!(history.staged(), std::slice::from_ref(&volume));
        assert_eq!(history.outcome(&volume).unwrap().mounted(), Some(Path::new("/staging")));
        history.forget(&volume);
        assert!(history.outcome(&volume).is_none());
    }
}
