//! What an audit can find.

use std::fmt;

use serde::Serialize;

/// The kinds, bounded: each is a value of the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A disk that this cluster's controller ordered and that no volume names.
    UnclaimedDisk,
    /// A disk with a provisioner's name and no cluster's mark, that no volume of this cluster names.
    OrphanDisk,
    /// A volume whose disk the cloud does not have.
    MissingDisk,
    /// A volume whose disk the cloud has stopped: in error, expired or frozen.
    SickDisk,
    /// One disk under two volumes.
    SharedDisk,
    /// An attach that does not end.
    StuckAttach,
    /// A detach that does not end.
    StuckDetach,
    /// An attachment that Kubernetes counts as made and the cloud has not.
    FalseAttach,
    /// A disk on a machine where no attachment wants it.
    UnwantedAttach,
}

impl FindingKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::UnclaimedDisk,
        Self::OrphanDisk,
        Self::MissingDisk,
        Self::SickDisk,
        Self::SharedDisk,
        Self::StuckAttach,
        Self::StuckDetach,
        Self::FalseAttach,
        Self::UnwantedAttach,
    ];

    /// As in metrics and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnclaimedDisk => "unclaimed-disk",
            Self::OrphanDisk => "orphan-disk",
            Self::MissingDisk => "missing-disk",
            Self::SickDisk => "sick-disk",
            Self::SharedDisk => "shared-disk",
            Self::StuckAttach => "stuck-attach",
            Self::StuckDetach => "stuck-detach",
            Self::FalseAttach => "false-attach",
            Self::UnwantedAttach => "unwanted-attach",
        }
    }

    /// An event's reason: words joined, as Kubernetes writes them.
    pub fn reason(self) -> &'static str {
        match self {
            Self::UnclaimedDisk => "UnclaimedDisk",
            Self::OrphanDisk => "OrphanDisk",
            Self::MissingDisk => "MissingDisk",
            Self::SickDisk => "SickDisk",
            Self::SharedDisk => "SharedDisk",
            Self::StuckAttach => "StuckAttach",
            Self::StuckDetach => "StuckDetach",
            Self::FalseAttach => "FalseAttach",
            Self::UnwantedAttach => "UnwantedAttach",
        }
    }

    /// What a person does about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::UnclaimedDisk => {
                "kept on purpose or left behind, it is paid for: `eckctl adopt` makes a volume of it, `eckctl audit --delete-disk` deletes it"
            }
            Self::OrphanDisk => {
                "if it is this cluster's, `eckctl adopt` makes a volume of it; else ask who ordered it"
            }
            Self::MissingDisk => {
                "its data is gone unless the cloud side restores the disk; delete claim and volume"
            }
            Self::SickDisk => {
                "ask the cloud side; an expired disk is deleted some days after it was not paid for"
            }
            Self::SharedDisk => "keep one volume of it: two that are mounted at once destroy the file system",
            Self::StuckAttach => "`eckctl explain` says what holds it up",
            Self::StuckDetach => {
                "if the cloud no longer has it on the machine, `eckctl audit --fix stuck-detach` lets it go"
            }
            Self::FalseAttach => {
                "delete the pod there: the attachment goes with it, and the next one is made anew"
            }
            Self::UnwantedAttach => {
                "if no program uses it there, `eckctl audit --fix unwanted-attach` detaches it"
            }
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that has drifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// The disk's id.
    pub disk: String,
    /// Its region, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The PersistentVolume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// The VolumeAttachment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachment: Option<String>,
    /// The machine in the cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The whole of it in a sentence.
    pub message: String,
}

impl Finding {
    /// Of this kind, about this disk; the rest is added.
    pub fn new(kind: FindingKind, disk: &str, message: String) -> Self {
        let disk = disk.to_owned();
        Self { kind, disk, region: None, volume: None, attachment: None, machine: None, message }
    }

    /// Whether both are the same, however it was worded.
    pub fn is(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// What makes it this one: the same at the next look and on the other replica.
    pub fn key(&self) -> (FindingKind, &str, Option<&str>, Option<&str>) {
        (
            self.kind,
            &self.disk,
            self.attachment.as_deref().or(self.volume.as_deref()),
            self.machine.as_deref(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_one_name_everywhere() {
        for kind in FindingKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(kind.reason().to_lowercase(), kind.as_str().replace('-', ""));
        }
    }
}
