//! What may go wrong while a disk is staged, and what must come of it.

use serde::{Deserialize, Serialize};

use super::content::GroundTruth;

/// One thing that goes wrong, or one way to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing; the disk is adopted, so all of it is read.
    None,
    /// Nothing; the disk was ordered by this driver, so places are read.
    Provisioned,
    /// Nothing; the volume is a block volume.
    Block,
    /// The disk goes away after it was probed.
    Vanishes,
    /// Another disk stands under the name after it was probed.
    Replaced,
    /// The first block cannot be read.
    UnreadableStart,
    /// One block of the first MiB cannot be read.
    UnreadableLater,
    /// The last MiB cannot be read, as the kernel itself says.
    UnreadableEnd,
    /// The kernel refuses writes.
    ReadOnly,
    /// A second disk shows the serial.
    Twin,
    /// The disk is smaller than the cloud said.
    Smaller,
    /// Somebody holds the disk exclusively.
    Held,
    /// mkfs runs into write errors.
    MkfsFails,
    /// Somebody writes to the disk after it was probed.
    DataAppears,
    /// The kernel does not mount; then it does.
    MountFails,
    /// The caller gives up, and asks again.
    GivesUp,
}

/// The table's columns.
pub(crate) const ALL: [Fault; 16] = [
    Fault::None,
    Fault::Provisioned,
    Fault::Block,
    Fault::Vanishes,
    Fault::Replaced,
    Fault::UnreadableStart,
    Fault::UnreadableLater,
    Fault::UnreadableEnd,
    Fault::ReadOnly,
    Fault::Twin,
    Fault::Smaller,
    Fault::Held,
    Fault::MkfsFails,
    Fault::DataAppears,
    Fault::MountFails,
    Fault::GivesUp,
];

/// What NodeStageVolume did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// Made a file system and mounted it.
    Formatted,
    /// Mounted the file system that was there.
    Mounted,
    /// Found the disk and left it alone.
    Block,
    /// Answered with an error.
    Refused,
}

impl Outcome {
    /// For the table.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Formatted => 'F',
            Self::Mounted => 'M',
            Self::Block => 'B',
            Self::Refused => '-',
        }
    }
}

impl Fault {
    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::None => "nothing goes wrong; an adopted disk, read whole",
            Self::Provisioned => "nothing goes wrong; a disk that the driver ordered, read at places",
            Self::Block => "nothing goes wrong; a block volume",
            Self::Vanishes => "the disk vanishes after the probe",
            Self::Replaced => "another disk under the same name and serial after the probe",
            Self::UnreadableStart => "the first block cannot be read",
            Self::UnreadableLater => "a later block of the first MiB cannot be read",
            Self::UnreadableEnd => "the last MiB cannot be read (EIO from the kernel)",
            Self::ReadOnly => "the disk is read-only",
            Self::Twin => "a second disk with the same serial",
            Self::Smaller => "the disk is smaller than the cloud said",
            Self::Held => "somebody else holds the disk",
            Self::MkfsFails => "mkfs runs into write errors (no space under the disk)",
            Self::DataAppears => "somebody writes to the disk between probe and format",
            Self::MountFails => "the mount fails once; the retry does not format again",
            Self::GivesUp => "the caller gives up in the middle and asks again",
        }
    }

    /// What must come of it. `mountable`: this kernel can mount what the volume asks for.
    pub(crate) fn outcome(self, truth: GroundTruth, mountable: bool) -> Outcome {
        let plain = match truth {
            _ if self == Self::Block => Outcome::Block,
            GroundTruth::Blank if mountable => Outcome::Formatted,
            GroundTruth::Ours if mountable => Outcome::Mounted,
            GroundTruth::Hidden if self == Self::Provisioned => Outcome::Formatted,
            _ => Outcome::Refused,
        };
        match self {
            Self::None | Self::Provisioned | Self::Block | Self::GivesUp => plain,
            Self::MkfsFails | Self::DataAppears if plain == Outcome::Formatted => Outcome::Refused,
            Self::MkfsFails | Self::DataAppears => plain,
            _ => Outcome::Refused,
        }
    }

    /// Words of the refusal of a disk that would have been formatted or mounted but for the fault, any of them: so it was
    /// refused for the right reason.
    pub(crate) fn reasons(self) -> &'static [&'static str] {
        match self {
            Self::None | Self::Provisioned | Self::Block | Self::GivesUp => &[],
            Self::Vanishes => &["it is gone"],
            Self::Replaced => &["its diskseq was"],
            Self::UnreadableStart | Self::UnreadableLater | Self::UnreadableEnd => {
                &["cannot be read at byte"]
            }
            Self::ReadOnly => &["is read-only in the kernel"],
            Self::Twin => &["shown by several block devices"],
            Self::Smaller => &["and the volume needs"],
            // Found out before mkfs, or by the kernel's mount.
            Self::Held => &["in use: it is not formatted", "esource busy"],
            Self::MkfsFails => &["failed (exit status"],
            Self::DataAppears => &["was blank a moment ago and now holds"],
            Self::MountFails => &["mount loop"],
        }
    }

    /// What the same request must do afterwards, when the fault is over; `None` if that is not asked.
    pub(crate) fn retried(self, truth: GroundTruth, mountable: bool) -> Option<Outcome> {
        match (self, Self::None.outcome(truth, mountable)) {
            // It has been formatted by the first request; a second time would be data loss.
            (Self::MountFails, Outcome::Formatted) => Some(Outcome::Mounted),
            (Self::MountFails | Self::Smaller | Self::Twin | Self::Held | Self::UnreadableStart, plain) => {
                Some(plain)
            }
            _ => None,
        }
    }

    /// Whether a refusal comes after the driver's own mkfs: then the bytes are the driver's.
    pub(crate) fn after_mkfs(self, truth: GroundTruth) -> bool {
        truth == GroundTruth::Blank && matches!(self, Self::MkfsFails | Self::MountFails)
    }
}
