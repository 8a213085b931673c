//! Snapshots.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lenient;

/// Body of CreateSnapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateSnapshot {
    /// Idempotency key; only effective when an order is made.
    #[serde(rename = "clientToken")]
    pub client_token: String,
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// Source disk.
    #[serde(rename = "diskID")]
    pub disk_id: String,
    /// 2–63 characters.
    #[serde(rename = "snapshotName")]
    pub snapshot_name: String,
    /// `forever`.
    #[serde(rename = "retentionPolicy")]
    pub retention_policy: String,
}

/// Body of DeleteSnapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteSnapshot {
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// Source disk.
    #[serde(rename = "diskID")]
    pub disk_id: String,
    /// One id.
    #[serde(rename = "snapshotIDs")]
    pub snapshot_ids: Vec<String>,
}

/// Reply of CreateSnapshot (on the job path) and DeleteSnapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotReply {
    /// Job.
    #[serde(rename = "snapshotJobID")]
    pub snapshot_job_id: Option<String>,
    /// On the order path.
    #[serde(rename = "masterOrderID")]
    pub master_order_id: Option<String>,
    /// On the order path.
    pub resources: Option<Vec<super::order::Resource>>,
    /// Ids that do not exist.
    #[serde(rename = "notFoundList")]
    pub not_found_list: Option<Vec<String>>,
    /// Ids that may not be deleted now.
    #[serde(rename = "notAllowedList")]
    pub not_allowed_list: Option<Vec<String>>,
}

/// Query of ListSnapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListSnapshots {
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// Exact id.
    #[serde(default, rename = "snapshotID", skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    /// Fuzzy name.
    #[serde(default, rename = "snapshotName", skip_serializing_if = "Option::is_none")]
    pub snapshot_name: Option<String>,
    /// Source disk.
    #[serde(default, rename = "diskID", skip_serializing_if = "Option::is_none")]
    pub disk_id: Option<String>,
    /// At most 1000.
    #[serde(rename = "maxResults")]
    pub max_results: u32,
    /// From the page before.
    #[serde(default, rename = "nextToken", skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Reply of ListSnapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SnapshotListRecord", into = "SnapshotListRecord")]
pub struct SnapshotList {
    /// This page.
    pub snapshot_list: Vec<Snapshot>,
    /// Records of this page that cannot be read, as they came.
    pub unreadable: Vec<Value>,
    /// In all.
    pub snapshot_total: Option<u64>,
    /// Absent at the end.
    pub next_token: Option<String>,
}

/// The same on the wire; as with disks the list must be there.
#[derive(Serialize, Deserialize)]
struct SnapshotListRecord {
    #[serde(rename = "snapshotList", deserialize_with = "super::envelope::null_is_default")]
    snapshot_list: Vec<Value>,
    #[serde(default, rename = "snapshotTotal", deserialize_with = "lenient::optional_number")]
    snapshot_total: Option<u64>,
    #[serde(
        default,
        rename = "nextToken",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::optional_text"
    )]
    next_token: Option<String>,
}

impl From<SnapshotListRecord> for SnapshotList {
    fn from(record: SnapshotListRecord) -> Self {
        let (snapshot_list, unreadable) = lenient::split(record.snapshot_list);
        Self {
            snapshot_list,
            unreadable,
            snapshot_total: record.snapshot_total,
            next_token: record.next_token,
        }
    }
}

impl From<SnapshotList> for SnapshotListRecord {
    fn from(list: SnapshotList) -> Self {
        let snapshot_list = lenient::joined(&list.snapshot_list, list.unreadable);
        Self { snapshot_list, snapshot_total: list.snapshot_total, next_token: list.next_token }
    }
}

/// A snapshot. One without an id is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Id.
    #[serde(rename = "snapshotID", deserialize_with = "lenient::text")]
    pub snapshot_id: String,
    /// Name.
    #[serde(default, rename = "snapshotName", deserialize_with = "lenient::text")]
    pub snapshot_name: String,
    /// `creating`, `available`, `deleting`, …
    #[serde(default, rename = "snapshotStatus", deserialize_with = "lenient::text")]
    pub snapshot_status: String,
    /// Source disk.
    #[serde(default, rename = "diskID", deserialize_with = "lenient::text")]
    pub disk_id: String,
    /// GiB; 0 if it is not told.
    #[serde(default, rename = "volumeSize", deserialize_with = "lenient::number")]
    pub volume_size: u64,
    /// Region.
    #[serde(default, rename = "regionID", deserialize_with = "lenient::text")]
    pub region_id: String,
    /// RFC 3339.
    #[serde(default, rename = "createTime", deserialize_with = "lenient::text")]
    pub create_time: String,
    /// The disk type of the source.
    #[serde(default, rename = "volumeType", skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<String>,
}
