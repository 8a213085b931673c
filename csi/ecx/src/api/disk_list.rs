//! Lists of disks.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::disk::Disk;
use super::lenient;

/// Reply of FindDiskByName and ListDisks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "DiskListRecord", into = "DiskListRecord")]
pub struct DiskList {
    /// The disks of this page.
    pub disk_list: Vec<Disk>,
    /// Records of this page that cannot be read, as they came: disks of which nothing else is known.
    pub unreadable: Vec<Value>,
    /// Disks in all.
    pub total_count: Option<u64>,
    /// Opaque; absent at the end.
    pub next_token: Option<String>,
}

/// The same on the wire. A reply without the list tells of no disk, not of none: the list must be there, though it may be null.
#[derive(Serialize, Deserialize)]
struct DiskListRecord {
    #[serde(rename = "diskList", deserialize_with = "super::envelope::null_is_default")]
    disk_list: Vec<Value>,
    #[serde(default, rename = "totalCount", deserialize_with = "lenient::optional_number")]
    total_count: Option<u64>,
    #[serde(
        default,
        rename = "nextToken",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::optional_text"
    )]
    next_token: Option<String>,
}

impl From<DiskListRecord> for DiskList {
    fn from(record: DiskListRecord) -> Self {
        let (disk_list, unreadable) = lenient::split(record.disk_list);
        Self { disk_list, unreadable, total_count: record.total_count, next_token: record.next_token }
    }
}

impl From<DiskList> for DiskListRecord {
    fn from(list: DiskList) -> Self {
        let disk_list = lenient::joined(&list.disk_list, list.unreadable);
        Self { disk_list, total_count: list.total_count, next_token: list.next_token }
    }
}
