//! Orders and jobs: what create, delete, resize, attach and detach answer, and how far they are.

use serde::{Deserialize, Serialize};

use super::lenient;

/// What an order answers: create, delete and resize.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderReply {
    /// Order id, 32 hex digits.
    #[serde(rename = "masterOrderID")]
    pub master_order_id: Option<String>,
    /// Order number for people.
    #[serde(rename = "masterOrderNO")]
    pub master_order_no: Option<String>,
    /// Region of the resources.
    #[serde(rename = "regionID")]
    pub region_id: Option<String>,
    /// What was ordered; filled once the order is done.
    pub resources: Option<Vec<Resource>>,
}

/// A resource of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resource {
    /// Id of the disk that was made.
    #[serde(rename = "diskID", skip_serializing_if = "Option::is_none")]
    pub disk_id: Option<String>,
    /// Its name.
    #[serde(rename = "diskName", skip_serializing_if = "Option::is_none")]
    pub disk_name: Option<String>,
    /// Id of the snapshot that was made.
    #[serde(rename = "snapshotID", skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    /// `EBS`.
    #[serde(rename = "resourceType", skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
}

/// What attach and detach answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobReply {
    /// The job to ask for.
    #[serde(rename = "diskRequestID")]
    pub disk_request_id: Option<String>,
    /// The same value, to be dropped by the cloud one day.
    #[serde(rename = "diskJobID")]
    pub disk_job_id: Option<String>,
}

/// Query of GetJob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetJob {
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// Job.
    #[serde(rename = "jobID")]
    pub job_id: String,
}

/// A job. `status`: 0 executing, 1 success, 2 failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Job {
    /// Job id.
    #[serde(rename = "jobID")]
    pub job_id: String,
    /// 0, 1 or 2.
    #[serde(deserialize_with = "lenient::small_number")]
    pub status: u8,
    /// The same as text; not to be relied on.
    #[serde(rename = "jobStatus")]
    pub job_status: Option<String>,
    /// The disk.
    #[serde(rename = "resourceId")]
    pub resource_id: Option<String>,
}

/// Query of GetOrder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetOrder {
    /// Order id.
    #[serde(rename = "masterOrderID")]
    pub master_order_id: String,
}

/// An order. `orderStatus` is a string: 3 done, 14 opening, 5 failed, 4 cancelled, 22 pay failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Order {
    /// State as a numeric string.
    #[serde(rename = "orderStatus", deserialize_with = "lenient::text")]
    pub order_status: String,
    /// Ids of what was made; can be empty for a moment after 3.
    #[serde(rename = "instanceIDList")]
    pub instance_id_list: Option<Vec<String>>,
}
