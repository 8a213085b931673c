//! Snapshots, of one disk and of groups.

use eck_csi::cluster::OtherCluster;
use eck_csi::field::BadField;
use serve::code::GrpcCode;
use tonic::Code;

use super::cloud::{cloud_code, wait_code};
use crate::disk_locator::RegionNotTold;
use crate::disk_reader::WaitError;

/// CreateSnapshot and DeleteSnapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("there is no volume {0}")]
    NoVolume(String),
    #[error("disk {disk} is another cluster's and no snapshot is taken of it: {other}")]
    OtherCluster { disk: String, other: Box<OtherCluster> },
    #[error("snapshot {name} exists, of volume {volume}")]
    OtherVolume { name: String, volume: String },
    #[error("disk {disk} is in {region}: its snapshot can be used there only")]
    OtherRegion { disk: String, region: String },
    #[error("snapshot {snapshot} is {state} in the cloud; it will not become usable by itself")]
    Dead { snapshot: String, state: String },
    #[error("disk {disk} is {state} in the cloud; it will not become usable by itself")]
    DeadDisk { disk: String, state: String },
    #[error(
        "the cloud does not delete snapshot {snapshot} now: it is {state}, or a disk is being made from it"
    )]
    InUse { snapshot: String, state: String },
    #[error("snapshot {name}")]
    Cloud { name: String, source: ecx::Error },
    #[error(transparent)]
    Region(#[from] RegionNotTold),
    #[error("snapshot {name}")]
    Wait { name: String, source: WaitError },
}

impl GrpcCode for SnapshotError {
    fn code(&self) -> Code {
        match self {
            Self::NoVolume(_) => Code::NotFound,
            // The spec's code for the same name with another source.
            Self::OtherVolume { .. } => Code::AlreadyExists,
            // The spec's code for a topology that cannot be served.
            Self::OtherRegion { .. } => Code::ResourceExhausted,
            // A person must say whose it is.
            Self::OtherCluster { .. } => Code::FailedPrecondition,
            // A person must look.
            Self::Dead { .. } | Self::DeadDisk { .. } => Code::Internal,
            // The spec's code for a snapshot in use; the snapshotter asks again.
            Self::InUse { .. } => Code::FailedPrecondition,
            Self::Cloud { source, .. } => cloud_code(source),
            Self::Region(error) => error.code(),
            Self::Wait { source, .. } => wait_code(source),
        }
    }
}

/// The RPCs of volume group snapshots.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupError {
    #[error(transparent)]
    Field(#[from] BadField),
    #[error("there is no volume {0}")]
    NoVolume(String),
    #[error("there is no group snapshot {0}")]
    NoGroup(String),
    #[error("group snapshot {group} exists, with a snapshot of volume {volume}")]
    OtherVolumes { group: String, volume: String },
    #[error(
        "disk {disk} is {state}: the cloud takes one snapshot at a time, so those of a group are of one moment only \
         while no disk of it is attached"
    )]
    Attached { disk: String, state: String },
    #[error("a snapshot of the group")]
    Snapshot(#[source] Box<SnapshotError>),
    #[error(transparent)]
    Region(#[from] RegionNotTold),
    #[error("reading the cloud")]
    Cloud(#[from] ecx::Error),
}

impl From<SnapshotError> for GroupError {
    fn from(error: SnapshotError) -> Self {
        Self::Snapshot(Box::new(error))
    }
}

impl GrpcCode for GroupError {
    fn code(&self) -> Code {
        match self {
            Self::Field(_) => Code::InvalidArgument,
            Self::NoVolume(_) | Self::NoGroup(_) => Code::NotFound,
            // The spec's code for the same name with other volumes.
            Self::OtherVolumes { .. } => Code::AlreadyExists,
            // The caller must stop the workload first.
            Self::Attached { .. } => Code::FailedPrecondition,
            Self::Snapshot(source) => source.code(),
            Self::Region(error) => error.code(),
            Self::Cloud(source) => cloud_code(source),
        }
    }
}
