//! Wire types of the nineteen operations of ecx/API.md B.3. Shapes are EBS v4's; unknown reply fields are ignored, optional
//! ones may be absent or null. Sizes are in GiB, times in epoch milliseconds unless said otherwise.

use serde::{Deserialize, Serialize};

mod disk;
mod instance;
mod snapshot;

pub use disk::*;
pub use instance::*;
pub use snapshot::*;

/// The operations, by the names and in the order of ecx/API.md B.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Op {
    /// 1: order a disk.
    CreateDisk,
    /// 2: order a disk with a snapshot's content.
    CreateDiskFromSnapshot,
    /// 3: refund a disk.
    DeleteDisk,
    /// 4: one disk by id.
    GetDisk,
    /// 5: disks by name.
    FindDiskByName,
    /// 6: a region's disks, paged.
    ListDisks,
    /// 7: attach to an instance.
    AttachDisk,
    /// 8: detach from an instance.
    DetachDisk,
    /// 9: grow.
    ResizeDisk,
    /// 10: state of a job.
    GetJob,
    /// 11: state of an order.
    GetOrder,
    /// 12: take a snapshot.
    CreateSnapshot,
    /// 13: delete a snapshot.
    DeleteSnapshot,
    /// 14: snapshots, paged.
    ListSnapshots,
    /// 15: a region's disk types.
    ListDiskTypes,
    /// 16: whether a disk could be ordered.
    CheckStock,
    /// 17: a region's instances.
    ListInstances,
    /// 18: a disk's description.
    UpdateDisk,
    /// 19: a disk's type and speed. No such call is known of ECX: only a profile that names its path has it.
    ModifyDisk,
}

impl Op {
    /// All, in the order of ecx/API.md B.3.
    pub const ALL: [Self; 19] = [
        Self::CreateDisk,
        Self::CreateDiskFromSnapshot,
        Self::DeleteDisk,
        Self::GetDisk,
        Self::FindDiskByName,
        Self::ListDisks,
        Self::AttachDisk,
        Self::DetachDisk,
        Self::ResizeDisk,
        Self::GetJob,
        Self::GetOrder,
        Self::CreateSnapshot,
        Self::DeleteSnapshot,
        Self::ListSnapshots,
        Self::ListDiskTypes,
        Self::CheckStock,
        Self::ListInstances,
        Self::UpdateDisk,
        Self::ModifyDisk,
    ];

    /// True for the operations that are sent as a POST with a JSON body.
    pub fn is_post(self) -> bool {
        use Op::*;
        matches!(
            self,
            CreateDisk
                | CreateDiskFromSnapshot
                | DeleteDisk
                | AttachDisk
                | DetachDisk
                | ResizeDisk
                | CreateSnapshot
                | DeleteSnapshot
                | ListInstances
                | UpdateDisk
                | ModifyDisk
        )
    }

    /// True for the operations that only tell something: a success that tells nothing is no answer to them.
    pub fn reads(self) -> bool {
        use Op::*;
        matches!(
            self,
            GetDisk
                | FindDiskByName
                | ListDisks
                | GetJob
                | GetOrder
                | ListSnapshots
                | ListDiskTypes
                | CheckStock
                | ListInstances
        )
    }

    /// True if sending the same request twice does no more than sending it once: reads, writes that carry a client token, and
    /// those that set a value. Attach and detach have no token (ecx/API.md §3), a snapshot's deletion neither, and that of its
    /// creation counts only while the disk has no other.
    pub fn repeatable(self) -> bool {
        !matches!(self, Self::AttachDisk | Self::DetachDisk | Self::CreateSnapshot | Self::DeleteSnapshot)
    }
}

/// The reply envelope as the cloud sends it; `decode` is tolerant of the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<T> {
    /// 800 for success, 900 for a business error.
    pub status_code: u32,
    /// `product.module.code`, only on errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The same in upper camel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// English text.
    pub message: String,
    /// Chinese text.
    pub description: String,
    /// The payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_obj: Option<T>,
}

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
    #[serde(rename = "orderStatus")]
    pub order_status: String,
    /// Ids of what was made; can be empty for a moment after 3.
    #[serde(rename = "instanceIDList")]
    pub instance_id_list: Option<Vec<String>>,
}

/// A field that the cloud may send as null.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
