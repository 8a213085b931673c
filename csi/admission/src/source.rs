//! What a claim is to be made from.

use eck_csi::volume::Region;

/// The source of a claim, found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The claim; of a template the volume.
    pub claim: String,
    /// What it is made from, e.g. `VolumeSnapshot before`.
    pub made_from: String,
    /// Where that is.
    pub region: Region,
}
