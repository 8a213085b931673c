//! Snapshots.

use serde::{Deserialize, Serialize};

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
#[serde(default)]
pub struct SnapshotList {
    /// This page.
    #[serde(rename = "snapshotList", deserialize_with = "super::envelope::null_is_default")]
    pub snapshot_list: Vec<Snapshot>,
    /// In all.
    #[serde(rename = "snapshotTotal")]
    pub snapshot_total: Option<u64>,
    /// Absent at the end.
    #[serde(rename = "nextToken", skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Id.
    #[serde(rename = "snapshotID")]
    pub snapshot_id: String,
    /// Name.
    #[serde(rename = "snapshotName")]
    pub snapshot_name: String,
    /// `creating`, `available`, `deleting`, …
    #[serde(rename = "snapshotStatus")]
    pub snapshot_status: String,
    /// Source disk.
    #[serde(rename = "diskID")]
    pub disk_id: String,
    /// GiB.
    #[serde(rename = "volumeSize")]
    pub volume_size: u64,
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// RFC 3339.
    #[serde(rename = "createTime")]
    pub create_time: String,
    /// The disk type of the source.
    #[serde(rename = "volumeType", skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<String>,
}
