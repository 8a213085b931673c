//! What a disk may hold: a row of the table, made by [`super::real`] or [`super::craft`].

use std::path::Path;

/// What an image holds, as far as the driver's promise depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroundTruth {
    /// Every byte is zero: the only thing that is ever formatted.
    Blank,
    /// A file system of the type that is asked for: mounted with its data, never made anew.
    Ours,
    /// Data of anybody: left alone.
    Data,
    /// One datum at a place that only a reading of the whole disk finds: a disk that this driver itself ordered empty is
    /// sampled (no signature and no backup superblock can lie there), an adopted one is read whole and refused.
    Hidden,
}

/// One row of the table.
pub(crate) struct Content {
    /// What it is.
    pub(crate) name: String,
    /// Size of the image.
    pub(crate) mib: u64,
    /// The `fsType` that NodeStage is asked for.
    pub(crate) ask: &'static str,
    /// What is on it.
    pub(crate) truth: GroundTruth,
    /// Writes it into a blank image.
    pub(crate) make: Box<dyn Fn(&Path) + Send + Sync>,
}
