//! Disks: requests, replies, states.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::lenient;
use crate::error::{ApiMessage, Error};

/// Body of CreateDisk, and (with a snapshot, without type and labels) of CreateDiskFromSnapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateDisk {
    /// Idempotency key, a UUID.
    pub client_token: String,
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// 2–63 of `[A-Za-z0-9-]`.
    pub disk_name: String,
    /// `VBD`: a plain virtual block device.
    pub disk_mode: String,
    /// E.g. `SAS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_type: Option<String>,
    /// Size in GiB.
    pub disk_size: u64,
    /// Pay per use.
    pub on_demand: bool,
    /// At most 32 characters each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// Source of the content; makes this CreateDiskFromSnapshot.
    #[serde(default, rename = "snapshotID", skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
}

/// A label of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
}

/// Body of DeleteDisk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteDisk {
    /// Idempotency key.
    #[serde(rename = "clientToken")]
    pub client_token: String,
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// Disk.
    #[serde(rename = "diskID")]
    pub disk_id: String,
}

/// Body of ResizeDisk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResizeDisk {
    /// Idempotency key.
    #[serde(rename = "clientToken")]
    pub client_token: String,
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// Disk.
    #[serde(rename = "diskID")]
    pub disk_id: String,
    /// The new total, in GiB.
    #[serde(rename = "diskSize")]
    pub disk_size: u64,
}

/// Body of UpdateDisk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateDisk {
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// Disk.
    #[serde(rename = "diskID")]
    pub disk_id: String,
    /// The description it gets.
    #[serde(rename = "volumeDescription")]
    pub volume_description: String,
}

/// Body of ModifyDisk: an assumption in the manner of ResizeDisk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModifyDisk {
    /// Idempotency key.
    #[serde(rename = "clientToken")]
    pub client_token: String,
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// Disk.
    #[serde(rename = "diskID")]
    pub disk_id: String,
    /// The type it gets.
    #[serde(default, rename = "diskType", skip_serializing_if = "Option::is_none")]
    pub disk_type: Option<String>,
    /// The operations per second it gets.
    #[serde(default, rename = "provisionedIops", skip_serializing_if = "Option::is_none")]
    pub provisioned_iops: Option<u64>,
}

/// A reply that says nothing but that it was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// Query of GetDisk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetDisk {
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// Disk.
    #[serde(rename = "diskID")]
    pub disk_id: String,
}

/// Query of FindDiskByName.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindDiskByName {
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// Exact name.
    #[serde(rename = "diskName")]
    pub disk_name: String,
}

/// Query of ListDisks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListDisks {
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// At most 1000.
    #[serde(rename = "maxResults")]
    pub max_results: u32,
    /// From the page before.
    #[serde(default, rename = "nextToken", skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Body of AttachDisk and DetachDisk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachDisk {
    /// Region.
    #[serde(rename = "regionID")]
    pub region_id: String,
    /// Disk.
    #[serde(rename = "diskID")]
    pub disk_id: String,
    /// Machine; optional on detach.
    #[serde(default, rename = "instanceID", skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
}

/// A disk. One without an id is none, and one without a state is not free: a missing word must not make a disk gone or free.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// `cd-…`.
    #[serde(rename = "diskID", deserialize_with = "lenient::text")]
    pub disk_id: String,
    /// Name; may repeat.
    #[serde(default, rename = "diskName", deserialize_with = "super::envelope::null_is_default")]
    pub disk_name: String,
    /// Size in GiB; 0 if it is not told.
    #[serde(default, rename = "diskSize", deserialize_with = "lenient::number")]
    pub disk_size: u64,
    /// E.g. `SAS`; empty if it is not told.
    #[serde(default, rename = "diskType", deserialize_with = "super::envelope::null_is_default")]
    pub disk_type: String,
    /// State.
    #[serde(default = "DiskState::untold", rename = "diskStatus")]
    pub disk_status: DiskState,
    /// Region.
    #[serde(default, rename = "regionID", deserialize_with = "super::envelope::null_is_default")]
    pub region_id: String,
    /// True on the disk a machine boots from.
    #[serde(default, rename = "isSystemVolume", skip_serializing_if = "Option::is_none")]
    pub is_system_volume: Option<bool>,
    /// Labels.
    #[serde(default, deserialize_with = "labels")]
    pub labels: Vec<Label>,
    /// Only while attached.
    #[serde(default, deserialize_with = "super::envelope::null_is_default")]
    pub attachments: Vec<Attachment>,
    /// The attachment's instance once more; some replies have only this.
    #[serde(default, rename = "instanceID", skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Epoch milliseconds.
    #[serde(default, rename = "createTime", deserialize_with = "lenient::milliseconds")]
    pub create_time: Option<u64>,
    /// When the cloud last changed it, in epoch milliseconds.
    #[serde(
        default,
        rename = "updateTime",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::milliseconds"
    )]
    pub update_time: Option<u64>,
    /// Id of the snapshot that the content was made from.
    #[serde(default, rename = "volumeSourceID", skip_serializing_if = "Option::is_none")]
    pub volume_source_id: Option<String>,
    /// For people.
    #[serde(default, rename = "volumeDescription", skip_serializing_if = "Option::is_none")]
    pub volume_description: Option<String>,
    /// Operations per second that were ordered, of types that have it.
    #[serde(
        default,
        rename = "provisionedIops",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::optional_number"
    )]
    pub provisioned_iops: Option<u64>,
}

/// Labels as a list of keys and values, or as an object.
fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Label>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Told {
        List(Vec<Label>),
        Object(BTreeMap<String, String>),
    }
    Ok(match Option::<Told>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Told::List(labels)) => labels,
        Some(Told::Object(labels)) => labels.into_iter().map(|(key, value)| Label { key, value }).collect(),
    })
}

impl Disk {
    /// Its labels, keys and values.
    pub fn label_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|label| (label.key.as_str(), label.value.as_str()))
    }

    /// This disk, if it is the one that was asked for. Another one in its place tells nothing about that one.
    pub fn about(self, id: &str) -> Result<Self, Error> {
        if self.disk_id == id {
            return Ok(self);
        }
        let message = format!("{id} was asked for and {:?} answered", self.disk_id);
        Err(Error::Unreadable(ApiMessage {
            code: "another disk".to_owned(),
            message,
            ..ApiMessage::default()
        }))
    }

    /// Size in bytes; the largest number for one that no number can tell.
    pub fn size_bytes(&self) -> u64 {
        self.disk_size.saturating_mul(1 << 30)
    }

    /// The machines that hold the disk.
    pub fn holders(&self) -> Vec<&str> {
        let mut holders: Vec<&str> = self.attachments.iter().map(|a| a.instance_id.as_str()).collect();
        if holders.is_empty() {
            holders.extend(self.instance_id.as_deref().filter(|i| !i.is_empty()));
        }
        holders
    }
}

/// One attachment of a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// Machine.
    #[serde(rename = "instanceID")]
    pub instance_id: String,
    /// Id of the attachment.
    #[serde(rename = "attachmentID", skip_serializing_if = "Option::is_none")]
    pub attachment_id: Option<String>,
    /// A hint that is often wrong (ecx/API.md §4): never used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// The states of the two official lists, and whatever else may come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum DiskState {
    Creating,
    #[default]
    Available,
    Attaching,
    DiskAttaching,
    InUse,
    Attached,
    Detaching,
    Detached,
    Extending,
    Resizing,
    Deleting,
    Backup,
    BackupRestoring,
    Error,
    Expired,
    Freezing,
    /// A text nobody knows: busy until the deadline.
    Unknown(String),
}

/// What a state means for the next step (ecx/API.md B.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Free to be attached or deleted.
    Settled,
    /// Held by a machine.
    Attached,
    /// Something goes on; wait.
    Busy,
    /// Will not come back by itself.
    Dead,
}

const STATES: [(&str, DiskState); 16] = [
    ("creating", DiskState::Creating),
    ("available", DiskState::Available),
    ("attaching", DiskState::Attaching),
    ("diskAttaching", DiskState::DiskAttaching),
    ("in-use", DiskState::InUse),
    ("attached", DiskState::Attached),
    ("detaching", DiskState::Detaching),
    ("detached", DiskState::Detached),
    ("extending", DiskState::Extending),
    ("resizing", DiskState::Resizing),
    ("deleting", DiskState::Deleting),
    ("backup", DiskState::Backup),
    ("backupRestoring", DiskState::BackupRestoring),
    ("error", DiskState::Error),
    ("expired", DiskState::Expired),
    ("freezing", DiskState::Freezing),
];

impl DiskState {
    /// Of a disk whose state was not told: busy until it is.
    fn untold() -> Self {
        Self::Unknown(String::new())
    }

    /// The wire's word.
    pub fn as_str(&self) -> &str {
        if let Self::Unknown(text) = self {
            return text;
        }
        STATES.iter().find(|(_, state)| state == self).map_or("", |(text, _)| text)
    }

    /// The state of a wire word, whatever its case.
    pub fn parse(text: &str) -> Self {
        let known = STATES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        known.map_or_else(|| Self::Unknown(text.to_owned()), |(_, state)| state.clone())
    }

    /// What the state means.
    pub fn group(&self) -> Group {
        match self {
            Self::Available | Self::Detached => Group::Settled,
            Self::InUse | Self::Attached => Group::Attached,
            Self::Error | Self::Expired | Self::Freezing => Group::Dead,
            Self::Creating
            | Self::Attaching
            | Self::DiskAttaching
            | Self::Detaching
            | Self::Extending
            | Self::Resizing
            | Self::Deleting
            | Self::Backup
            | Self::BackupRestoring
            | Self::Unknown(_) => Group::Busy,
        }
    }
}

impl Serialize for DiskState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for DiskState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Null is not told either.
        lenient::text(deserializer).map(|text| Self::parse(&text))
    }
}
