//! What the operations found, as CSI words it.

use std::collections::HashMap;

use eck_csi::driver::GIB;
use eck_csi::volume::Region;
use ecx::api::{Disk, Snapshot};
use proto::csi::v1 as pb;

use crate::create::{CreatedVolume, Source};
use crate::health::diagnose;
use crate::name::group_of_member;
use crate::snapshot::{self, SnapshotId};
use crate::topology::topology;

/// A volume as CSI tells it.
pub(crate) fn volume(region: &Region, disk: &Disk, context: HashMap<String, String>) -> pb::Volume {
    pb::Volume {
        capacity_bytes: i64::try_from(disk.size_bytes()).unwrap_or(i64::MAX),
        volume_id: disk.disk_id.clone(),
        volume_context: context,
        accessible_topology: vec![topology(region)],
        ..pb::Volume::default()
    }
}

/// A disk's health.
pub(crate) fn health(disk: &Disk) -> pb::VolumeHealth {
    let entry = |(reason, message): (&str, String)| pb::volume_health::VolumeHealthEntry {
        // No node can use a disk that the cloud has taken out of service.
        status: pb::VolumeHealthErrorType::Inaccessible.into(),
        reason: reason.to_owned(),
        message,
    };
    let health_statuses = diagnose(disk).map(entry).into_iter().collect();
    pb::VolumeHealth { volume_id: disk.disk_id.clone(), health_statuses }
}

/// A volume that was created.
impl From<CreatedVolume> for pb::CreateVolumeResponse {
    fn from(created: CreatedVolume) -> Self {
        let CreatedVolume { region, disk, context, source } = created;
        let content_source = source.as_ref().map(Source::to_proto);
        Self { volume: Some(pb::Volume { content_source, ..volume(&region, &disk, context.to_map()) }) }
    }
}

/// A volume that was grown to so many bytes.
pub(crate) fn expanded(bytes: u64) -> pb::ControllerExpandVolumeResponse {
    pb::ControllerExpandVolumeResponse {
        capacity_bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        // Also for block volumes: the node waits until the kernel shows the new size.
        node_expansion_required: true,
    }
}

/// A snapshot as CSI tells it.
pub(crate) fn snapshot(region: &Region, snapshot: &Snapshot) -> pb::Snapshot {
    let creation_time = snapshot.create_time.parse().ok();
    if creation_time.is_none() {
        tracing::warn!(
            snapshot = snapshot.snapshot_id,
            time = snapshot.create_time,
            "Not a time of RFC 3339"
        );
    }
    pb::Snapshot {
        size_bytes: i64::try_from(snapshot.volume_size.saturating_mul(GIB)).unwrap_or(i64::MAX),
        snapshot_id: SnapshotId::new(region, &snapshot.snapshot_id).to_string(),
        source_volume_id: snapshot.disk_id.clone(),
        creation_time,
        ready_to_use: snapshot::usable(snapshot),
        group_snapshot_id: group_of_member(&snapshot.snapshot_name).unwrap_or_default(),
        accessible_topology: vec![topology(region)],
    }
}

/// What the Controller service can do.
pub(crate) fn capabilities() -> pb::ControllerGetCapabilitiesResponse {
    use pb::controller_service_capability::{Rpc, Type, rpc};
    let kinds = [
        rpc::Type::CreateDeleteVolume,
        rpc::Type::PublishUnpublishVolume,
        rpc::Type::ListVolumes,
        rpc::Type::ListVolumesPublishedNodes,
        rpc::Type::GetCapacity,
        rpc::Type::ExpandVolume,
        rpc::Type::GetVolume,
        rpc::Type::SingleNodeMultiWriter,
        rpc::Type::CreateDeleteSnapshot,
        rpc::Type::ListSnapshots,
        rpc::Type::GetSnapshot,
        rpc::Type::CloneVolume,
        rpc::Type::ModifyVolume,
        rpc::Type::PublishReadonly,
        rpc::Type::GetVolumeHealth,
        rpc::Type::ListVolumeHealth,
    ];
    let capability = |kind: rpc::Type| pb::ControllerServiceCapability {
        r#type: Some(Type::Rpc(Rpc { r#type: kind.into() })),
    };
    pb::ControllerGetCapabilitiesResponse { capabilities: kinds.map(capability).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_told_with_its_region_and_time() {
        let region = Region::parse("region", "fj-xiamen-4").unwrap();
        let snapshot = Snapshot {
            snapshot_id: "cs-1".into(),
            snapshot_status: "available".into(),
            volume_size: 20,
            create_time: "2022-11-08T10:07:28Z".into(),
            ..Snapshot::default()
        };
        let shown = super::snapshot(&region, &snapshot);
        assert_eq!((shown.size_bytes, shown.ready_to_use), (20 << 30, true));
        assert_eq!(shown.creation_time.unwrap().seconds, 1_667_902_048);
        assert_eq!((shown.snapshot_id.as_str(), shown.group_snapshot_id.as_str()), ("fj-xiamen-4/cs-1", ""));
    }
}
