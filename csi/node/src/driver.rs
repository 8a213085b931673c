//! What the operations share.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use eck_csi::volume::NodeId;

use crate::history::StageHistory;
use crate::metrics::Decisions;
use crate::trim::schedule::TrimSchedule;

/// Who this node is, and how it works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// As the controller will get it.
    pub node_id: NodeId,
    /// How long a disk may take to appear after the cloud said that it is attached.
    pub device_patience: Duration,
    /// Slots that the cluster must leave alone, beside the disks in use that are seen not to be the cluster's.
    pub reserved_disks: u32,
    /// Folder for what must outlive a restart of this program.
    pub state_dir: PathBuf,
}

/// The machine, and what this program remembers of it.
pub struct Driver<H> {
    pub(crate) host: H,
    pub(crate) settings: Settings,
    pub(crate) history: StageHistory,
    pub(crate) trims: TrimSchedule,
    pub(crate) decisions: Decisions,
}

impl<H> Driver<H> {
    /// A driver for `host`; what staging decides is counted in `decisions`.
    pub fn new(host: H, settings: Settings, decisions: Decisions) -> Self {
        let trims = TrimSchedule::new(settings.state_dir.join("trim"));
        Self { host, settings, history: StageHistory::default(), trims, decisions }
    }

    /// Until then the disk of an operation that begins now may take to appear.
    pub(crate) fn device_deadline(&self) -> Instant {
        Instant::now() + self.settings.device_patience
    }
}
