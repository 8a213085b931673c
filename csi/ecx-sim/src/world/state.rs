//! What the cloud consists of.

use std::collections::BTreeMap;

use ecx::api::{Disk, DiskState, Snapshot};
use ecx::codes;
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// The state of a snapshot that is whole.
pub(super) const AVAILABLE: &str = "available";

/// A business refusal: a code of B.6 and words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub http: u16,
    /// `errorCode`.
    pub code: String,
    /// Words.
    pub message: String,
}

impl Refusal {
    /// A business refusal: HTTP 200.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { http: 200, code: code.to_owned(), message: message.into() }
    }

    /// A wrong parameter: HTTP 400.
    pub fn parameter(name: &str, message: impl Into<String>) -> Self {
        Self { http: 400, code: format!("{}{name}", codes::PARAMETER), message: message.into() }
    }
}

/// What a fault does to the transition that a request starts.
#[derive(Debug, Clone, Default)]
pub struct Twist {
    /// Never ends by itself.
    pub stuck: bool,
    /// The job fails.
    pub fails: bool,
    /// The serial the guest will see.
    pub serial: Option<String>,
    /// The order's list of ids stays empty.
    pub empty_order: bool,
}

/// What a disk is on the way to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// What.
    pub kind: PendingKind,
    /// Epoch ms at which it ends; `u64::MAX` when stuck.
    pub due: u64,
    /// The job or order that shows it.
    pub handle: String,
    /// It will fail.
    pub fails: bool,
}

/// Kinds of transitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum PendingKind {
    /// `from`: the snapshot whose content the disk gets.
    Create {
        #[serde(default)]
        from: Option<String>,
    },
    Attach {
        instance: String,
        serial: String,
    },
    Detach {
        instance: String,
    },
    Delete,
    Resize {
        gib: u64,
    },
}

/// A disk, its holder and what goes on with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiskRecord {
    /// As the API shows it, less the attachment.
    pub disk: Disk,
    /// The machine that holds it.
    pub holder: Option<String>,
    /// What goes on.
    pub pending: Option<Pending>,
    /// Every machine that ever held it, in order: for tests that ask whether it was attached twice.
    pub history: Vec<String>,
}

/// A snapshot and what goes on with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// As the API shows it.
    pub snapshot: Snapshot,
    /// Epoch ms at which it becomes `available`, or is gone if it is `deleting`; `u64::MAX` if it is at rest.
    pub due: u64,
}

/// A machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Machine {
    pub id: String,
    pub region: String,
    pub ip: String,
    pub status: String,
    pub max_disks: usize,
    /// Attaches and detaches of one machine go one after the other; the last ends at this epoch ms.
    pub busy_until: u64,
}

/// A region's stock and the account's quota.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RegionRecord {
    pub stock: BTreeMap<String, u64>,
    pub quota_gib: u64,
}

/// A client token: what was asked with it, and the order that it made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Token {
    pub request: String,
    pub order: String,
    pub at: u64,
}

/// An order or a job.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Handle {
    pub disk: String,
    /// 0 running, 1 done, 2 failed.
    pub status: u8,
    pub empty: bool,
}

/// The whole cloud.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct World {
    pub regions: BTreeMap<String, RegionRecord>,
    pub machines: BTreeMap<String, Machine>,
    pub disks: BTreeMap<String, DiskRecord>,
    pub handles: BTreeMap<String, Handle>,
    pub tokens: BTreeMap<String, Token>,
    pub snapshots: BTreeMap<String, SnapshotRecord>,
    pub counter: u32,
    #[serde(default)]
    pub now: u64,
    /// Disks that ever existed: for tests that ask whether one was bought twice.
    pub bought: u64,
    /// By the name of the disks: how many were bought, less those that died in the making or vanished.
    #[serde(default)]
    pub bought_of_name: BTreeMap<String, u64>,
}

impl World {
    /// The cloud at its birth.
    pub fn new(config: &Config) -> Self {
        let mut world = Self::default();
        for (code, region) in &config.regions {
            let record = RegionRecord { stock: region.stock.clone(), quota_gib: region.quota_gib };
            world.regions.insert(code.clone(), record);
            for instance in &region.instances {
                let machine = Machine {
                    id: instance.id.clone(),
                    region: code.clone(),
                    ip: instance.ip.clone(),
                    status: "running".to_owned(),
                    max_disks: instance.max_disks,
                    busy_until: 0,
                };
                world.machines.insert(machine.id.clone(), machine);
            }
        }
        world
    }

    /// The earliest moment at which something ends by itself.
    pub fn next_due(&self) -> Option<u64> {
        let disks = self.disks.values().filter_map(|d| d.pending.as_ref()).map(|p| p.due);
        let snapshots = self.snapshots.values().map(|s| s.due);
        disks.chain(snapshots).filter(|due| *due != u64::MAX).min()
    }

    pub(super) fn region(&self, region: &str) -> Result<&RegionRecord, Refusal> {
        self.regions
            .get(region)
            .ok_or_else(|| Refusal::parameter("regionID", format!("no region {region:?}")))
    }

    pub(super) fn disk(&mut self, region: &str, id: &str) -> Result<&mut DiskRecord, Refusal> {
        self.region(region)?;
        let found = self.disks.get_mut(id).filter(|d| d.disk.region_id == region);
        found
            .ok_or_else(|| Refusal::new(codes::DISK_UNKNOWN, format!("disk {id} does not exist in {region}")))
    }

    /// A snapshot that can be read: of this region, and whole.
    pub(super) fn snapshot(&self, region: &str, id: &str) -> Result<&Snapshot, Refusal> {
        let found = self.snapshots.get(id).map(|s| &s.snapshot).filter(|s| s.region_id == region);
        let snapshot = found.ok_or_else(|| Refusal::parameter("snapshotID", "no such snapshot"))?;
        if snapshot.snapshot_status != AVAILABLE {
            let state = &snapshot.snapshot_status;
            return Err(Refusal::new(codes::STATE_INVALID, format!("snapshot {id} is {state}")));
        }
        Ok(snapshot)
    }

    pub(super) fn machine(&self, id: &str) -> Result<&Machine, Refusal> {
        let found = self.machines.get(id);
        found.ok_or_else(|| Refusal::new(codes::INSTANCE_UNKNOWN, format!("instance {id} does not exist")))
    }
}

impl DiskRecord {
    pub(super) fn state(&self) -> &DiskState {
        &self.disk.disk_status
    }

    pub(super) fn refuse(&self, what: &str) -> Refusal {
        let state = self.state().as_str();
        Refusal::new(codes::STATE_INVALID, format!("disk {} is {state}: cannot {what}", self.disk.disk_id))
    }
}
