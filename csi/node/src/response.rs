//! What the node found, as CSI words it.

use eck_csi::driver::TOPOLOGY_REGION;
use eck_csi::volume::{NodeId, Region};
use proto::csi::v1 as pb;

use crate::finding::{Finding, Severity};
use crate::stats::Stats;

/// What a volume has.
impl From<Stats> for pb::NodeGetVolumeStatsResponse {
    fn from(stats: Stats) -> Self {
        use pb::volume_usage::Unit;
        let usage = match stats {
            Stats::Fs(stats) => vec![usage(Unit::Bytes, stats.bytes), usage(Unit::Inodes, stats.inodes)],
            Stats::Block(bytes) => vec![usage(Unit::Bytes, (bytes, 0, 0))],
        };
        Self { usage }
    }
}

/// What the Node service can do.
pub(crate) fn capabilities() -> pb::NodeGetCapabilitiesResponse {
    use pb::node_service_capability::{Rpc, Type, rpc};
    let kinds = [
        rpc::Type::StageUnstageVolume,
        rpc::Type::GetVolumeStats,
        rpc::Type::ExpandVolume,
        rpc::Type::SingleNodeMultiWriter,
        rpc::Type::GetVolumeHealth,
        rpc::Type::GetStorageHealth,
    ];
    let capability =
        |kind: rpc::Type| pb::NodeServiceCapability { r#type: Some(Type::Rpc(Rpc { r#type: kind.into() })) };
    pb::NodeGetCapabilitiesResponse { capabilities: kinds.map(capability).into() }
}

/// This node, to which so many disks may be attached.
pub(crate) fn info(id: &NodeId, slots: u32) -> pb::NodeGetInfoResponse {
    let topology = |region: &Region| pb::Topology {
        segments: [(TOPOLOGY_REGION.to_owned(), region.to_string())].into(),
    };
    pb::NodeGetInfoResponse {
        node_id: id.to_string(),
        max_volumes_per_node: i64::from(slots),
        accessible_topology: id.region().map(topology),
    }
}

/// A number of bytes or inodes as CSI wants it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn usage(unit: pb::volume_usage::Unit, (total, available, used): (u64, u64, u64)) -> pb::VolumeUsage {
    pb::VolumeUsage {
        total: signed(total),
        available: signed(available),
        used: signed(used),
        unit: unit.into(),
    }
}

/// What is wrong with a volume.
pub(crate) fn volume_health(volume_id: String, findings: Vec<Finding>) -> pb::NodeGetVolumeHealthResponse {
    let health_statuses = findings.into_iter().map(volume_entry).collect();
    pb::NodeGetVolumeHealthResponse { volume_health: Some(pb::VolumeHealth { volume_id, health_statuses }) }
}

fn volume_entry(finding: Finding) -> pb::volume_health::VolumeHealthEntry {
    let status = match finding.severity {
        Severity::Degraded => pb::VolumeHealthErrorType::Degraded,
        Severity::Inaccessible => pb::VolumeHealthErrorType::Inaccessible,
        Severity::DataLoss => pb::VolumeHealthErrorType::DataLoss,
    };
    let (reason, message) = (finding.reason.to_owned(), finding.message);
    pb::volume_health::VolumeHealthEntry { status: status.into(), reason, message }
}

/// What is wrong with all disks.
pub(crate) fn storage_health(findings: Vec<Finding>) -> pb::NodeGetStorageHealthResponse {
    pb::NodeGetStorageHealthResponse { backend_health: findings.into_iter().map(storage_entry).collect() }
}

fn storage_entry(finding: Finding) -> pb::node_get_storage_health_response::StorageBackendHealth {
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
