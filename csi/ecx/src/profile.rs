//! Everything that ECX may spell differently, as data (ECX-API B.1): a real ECX finding changes this, not code.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::Op;

/// The profile of a cloud. Each default's origin stands in ECX-API B.1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Scheme, host and port of the gateway; every path lies below it.
    pub base_url: String,
    /// How the region field is spelled on the wire.
    pub region_key: String,
    /// Paths by operation; missing ones take the default.
    pub paths: BTreeMap<Op, String>,
    /// Texts of `statusCode` or `code` that mean success.
    pub ok_codes: Vec<String>,
    /// Never empty: a request without one can be stopped by the gateway.
    pub user_agent: String,
    /// Adds the unsigned header `x-alogic-externalId` with ten digits.
    pub send_external_id: bool,
    /// `VBD`.
    pub disk_mode: String,
    /// What `diskType: cloud` means.
    pub default_disk_type: String,
    /// Smallest disk, GiB.
    pub min_size_gib: u64,
    /// Largest disk, GiB.
    pub max_size_gib: u64,
    /// How a wait is paced.
    pub poll: Poll,
    /// Longest time for one HTTP exchange, milliseconds.
    pub http_timeout_ms: u64,
    /// Attempts for one call, the first included.
    pub attempts: u32,
    /// Requests per second of one account.
    pub rate_per_second: f64,
    /// Requests that may go at once after a pause.
    pub burst: f64,
}

/// How a wait is paced: the first look after `first_ms`, then ×`factor` up to `max_ms`, given up after `give_up_ms`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Poll {
    /// Milliseconds before the first look.
    pub first_ms: u64,
    /// Growth of the pause.
    pub factor: f64,
    /// Longest pause, milliseconds.
    pub max_ms: u64,
    /// A wait ends here, milliseconds.
    pub give_up_ms: u64,
}

impl Default for Poll {
    fn default() -> Self {
        Self { first_ms: 1000, factor: 1.5, max_ms: 5000, give_up_ms: 300_000 }
    }
}

impl Poll {
    /// The pause after the pause `last` (`None`: before the first look).
    pub fn next(&self, last: Option<Duration>) -> Duration {
        let first = Duration::from_millis(self.first_ms);
        let grown = last.map_or(first, |d| d.mul_f64(self.factor.max(1.0)));
        grown.min(Duration::from_millis(self.max_ms.max(self.first_ms)))
    }

    /// When a wait ends.
    pub fn give_up(&self) -> Duration {
        Duration::from_millis(self.give_up_ms)
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            base_url: "https://ecx-global.ctapi.ctyun.cn".to_owned(),
            region_key: "regionID".to_owned(),
            paths: BTreeMap::new(),
            ok_codes: ["800", "200", "core.ok"].map(str::to_owned).into(),
            user_agent: concat!("eck-csi/", env!("CARGO_PKG_VERSION")).to_owned(),
            send_external_id: false,
            disk_mode: "VBD".to_owned(),
            default_disk_type: "SAS".to_owned(),
            min_size_gib: 20,
            max_size_gib: 32_768,
            poll: Poll::default(),
            http_timeout_ms: 10_000,
            attempts: 4,
            rate_per_second: 10.0,
            burst: 20.0,
        }
    }
}

impl Profile {
    /// Path of an operation; empty if this cloud has none.
    pub fn path(&self, op: Op) -> &str {
        self.paths.get(&op).map_or_else(|| default_path(op), String::as_str)
    }

    /// Whether this cloud has the operation.
    pub fn has(&self, op: Op) -> bool {
        !self.path(op).is_empty()
    }
}

fn default_path(op: Op) -> &'static str {
    match op {
        Op::CreateDisk => "/v4/ebs/new-ebs",
        Op::CreateDiskFromSnapshot => "/v4/ebs/new-from-snapshot-ebs-snap",
        Op::DeleteDisk => "/v4/ebs/refund-ebs",
        Op::GetDisk => "/v4/ebs/info-ebs",
        Op::FindDiskByName => "/v4/ebs/list-by-name-ebs",
        Op::ListDisks => "/v4/ebs/list-ebs",
        Op::AttachDisk => "/v4/ebs/attach-ebs",
        Op::DetachDisk => "/v4/ebs/detach-ebs",
        Op::ResizeDisk => "/v4/ebs/resize-ebs",
        Op::GetJob => "/v4/job/info",
        Op::GetOrder => "/v4/ecs/order/query-uuid",
        Op::CreateSnapshot => "/v4/ebs_snapshot/create-ebs-snap",
        Op::DeleteSnapshot => "/v4/ebs_snapshot/delete-ebs-snap",
        Op::ListSnapshots => "/v4/ebs_snapshot/list-ebs-snap",
        Op::ListDiskTypes => "/v4/ebs/list-disk-type",
        Op::CheckStock => "/v4/region/check-demand",
        Op::ListInstances => "/v4/ecs/list-instances",
        Op::UpdateDisk => "/v4/ebs/update-attr-ebs",
        Op::ModifyDisk => "",
    }
}
