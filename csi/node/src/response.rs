//! What the node found, as CSI words it.

use proto::csi::v1 as pb;

use crate::health::{Finding, Severity};

/// A number of bytes or inodes as CSI wants it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn usage(
    unit: pb::volume_usage::Unit,
    (total, available, used): (u64, u64, u64),
) -> pb::VolumeUsage {
    pb::VolumeUsage {
        total: signed(total),
        available: signed(available),
        used: signed(used),
        unit: unit.into(),
    }
}

/// What is wrong with a volume.
pub(crate) fn volume_health(finding: Finding) -> pb::volume_health::VolumeHealthEntry {
    let status = match finding.severity {
        Severity::Degraded => pb::VolumeHealthErrorType::Degraded,
        Severity::Inaccessible => pb::VolumeHealthErrorType::Inaccessible,
        Severity::DataLoss => pb::VolumeHealthErrorType::DataLoss,
    };
    let (reason, message) = (finding.reason.to_owned(), finding.message);
    pb::volume_health::VolumeHealthEntry { status: status.into(), reason, message }
}

/// What is wrong with all disks.
pub(crate) fn storage_health(finding: Finding) -> pb::node_get_storage_health_response::StorageBackendHealth {
    let status = match finding.severity {
        Severity::Degraded => pb::StorageHealthErrorType::StorageDegraded,
        Severity::Inaccessible | Severity::DataLoss => pb::StorageHealthErrorType::StorageUnreachable,
    };
    pb::node_get_storage_health_response::StorageBackendHealth {
        status: status.into(),
        reason: finding.reason.to_owned(),
        message: finding.message,
        volume_capability: None,
    }
}
