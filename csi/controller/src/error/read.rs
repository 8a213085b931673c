//! What only reads.

use std::time::Duration;

use eck_csi::field::BadField;
use eck_csi::volume::Region;
use eck_csi_kubernetes::ClusterError;
use serve::code::GrpcCode;
use tonic::Code;

use super::cloud::cloud_code;
use crate::disk_locator::RegionNotTold;

/// The reads: volumes and snapshots listed and by id, their health, ValidateVolumeCapabilities, GetCapacity.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("there is no volume {0}")]
    NoVolume(String),
    #[error("there is no snapshot {0}")]
    NoSnapshot(String),
    #[error(transparent)]
    Field(#[from] BadField),
    #[error(transparent)]
    Token(BadField),
    /// The region, and for how long.
    #[error("{0} has not told its stock for {sec} s", sec = .1.as_secs())]
    Silent(Region, Duration),
    #[error("disk {0} is attached, and neither it nor any machine tells to which")]
    HolderNotTold(String),
    #[error("many disks of {0} are attached, and neither they nor the machines tell to which")]
    HoldersNotTold(Region),
    #[error(transparent)]
    Region(#[from] RegionNotTold),
    #[error("which regions nodes and volumes name cannot be read")]
    Regions(#[from] ClusterError),
    #[error("reading the cloud")]
    Cloud(#[from] ecx::Error),
}

impl GrpcCode for ReadError {
    fn code(&self) -> Code {
        match self {
            Self::NoVolume(_) | Self::NoSnapshot(_) => Code::NotFound,
            Self::Field(_) => Code::InvalidArgument,
            // The spec's code for a bad starting_token: begin again without one.
            Self::Token(_) => Code::Aborted,
            // It may answer the next time; until then its number is that of the last answer.
            Self::Silent(..) => Code::Unavailable,
            // Not on no machine: the cloud may tell the next time.
            Self::HolderNotTold(_) | Self::HoldersNotTold(_) => Code::Unavailable,
            Self::Region(error) => error.code(),
            // A volume that is left out of a list is one that is detached, to csi-attacher.
            Self::Regions(_) => Code::Unavailable,
            Self::Cloud(error) => cloud_code(error),
        }
    }
}

impl GrpcCode for RegionNotTold {
    fn code(&self) -> Code {
        // Not gone: it may be where nobody has looked. The sidecars need the same API server.
        Code::Unavailable
    }
}
