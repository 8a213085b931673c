//! CSI requests, parsed once into what the operations work on.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use eck_csi::capability::{Access, Capability};
use eck_csi::driver::{MAX_FIELD_BYTES, TOPOLOGY_REGION};
use eck_csi::field::{BadField, text};
use eck_csi::operations::{Request, Rule};
use eck_csi::volume::{BadSize, FsType, NodeId, Region, SizeRange, VolumeId};
use proto::csi::v1 as pb;

use crate::error::GroupError;
use crate::modify::Mutable;
use crate::name::{disk_name, group_id};
use crate::parameters::{self, Parameters};
use crate::snapshot::SnapshotId;
use crate::snapshot::create::Take;
use crate::snapshot::group::TakeGroup;

/// CreateVolume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The volume's name.
    pub name: String,
    /// The size that it must have.
    pub size: SizeRange,
    /// What its class says.
    pub parameters: Parameters,
    /// The file system that the node will make if it finds the disk blank.
    pub fs: Option<FsType>,
    /// Regions in which the volume must be reachable; empty for anywhere.
    pub requisite: Vec<Region>,
    /// Regions in the order of preference.
    pub preferred: Vec<Region>,
    /// What the content is made from; `None` for an empty disk.
    pub(crate) source: Option<Source>,
    /// What its class of attributes asks for.
    pub(crate) mutable: Mutable,
}

/// What a volume's content is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Snapshot(SnapshotId),
    Volume(VolumeId),
}

impl Source {
    /// A word for errors.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Self::Snapshot(_) => "snapshot",
            Self::Volume(_) => "volume",
        }
    }

    /// As CSI tells it.
    pub(crate) fn told(&self) -> pb::VolumeContentSource {
        use pb::volume_content_source::{SnapshotSource, Type, VolumeSource};
        let kind = match self {
            Self::Snapshot(id) => Type::Snapshot(SnapshotSource { snapshot_id: id.to_string() }),
            Self::Volume(id) => Type::Volume(VolumeSource { volume_id: id.to_string() }),
        };
        pb::VolumeContentSource { r#type: Some(kind) }
    }

    fn parse(value: pb::VolumeContentSource) -> Result<Self, BadField> {
        use pb::volume_content_source::Type;
        match value.r#type {
            Some(Type::Snapshot(source)) => {
                let field = "volume_content_source.snapshot.snapshot_id";
                SnapshotId::parse(field, source.snapshot_id).map(Self::Snapshot)
            }
            Some(Type::Volume(source)) => VolumeId::parse(source.volume_id).map(Self::Volume),
            None => Err(BadField::missing("volume_content_source.type")),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Snapshot(id) => id.fmt(f),
            Self::Volume(id) => id.fmt(f),
        }
    }
}

/// Any operation that changes something, as the table of running operations compares them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Create(Box<Create>),
    Delete(VolumeId),
    /// Whether for reading only.
    Publish(VolumeId, NodeId, bool),
    Unpublish(VolumeId, Option<NodeId>),
    Expand(VolumeId, SizeRange),
    Modify(VolumeId, Mutable),
    Snapshot(Take),
    DeleteSnapshot(SnapshotId),
    /// Runs at the place of the group, and of each of its volumes.
    Group(Arc<TakeGroup>),
    DeleteGroup(String, Vec<String>),
}

impl Request for Ask {
    fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "CreateVolume",
            Self::Delete(_) => "DeleteVolume",
            Self::Publish(..) => "ControllerPublishVolume",
            Self::Unpublish(..) => "ControllerUnpublishVolume",
            Self::Expand(..) => "ControllerExpandVolume",
            Self::Modify(..) => "ControllerModifyVolume",
            Self::Snapshot(_) => "CreateSnapshot",
            Self::DeleteSnapshot(_) => "DeleteSnapshot",
            Self::Group(_) => "CreateVolumeGroupSnapshot",
            Self::DeleteGroup(..) => "DeleteVolumeGroupSnapshot",
        }
    }

    fn rule(&self, _running: &Self) -> Rule {
        match self {
            // Attach, detach, growth and change of one disk follow each other: the later one looks at what the earlier one
            // left. So does a group's snapshot, which wants the disks at rest.
            Self::Publish(..)
            | Self::Unpublish(..)
            | Self::Expand(..)
            | Self::Modify(..)
            | Self::Group(_)
            | Self::DeleteSnapshot(_)
            | Self::DeleteGroup(..) => Rule::Wait,
            // A create with other arguments, or a delete of a disk that is being used, is the caller's contradiction.
            Self::Create(_) | Self::Delete(_) | Self::Snapshot(_) => Rule::Abort,
        }
    }
}

/// Takes CreateVolume.
pub fn create(q: pb::CreateVolumeRequest) -> Result<Create, BadSize> {
    let name = text("name", q.name, MAX_FIELD_BYTES)?;
    let capabilities = Capability::parse_all("volume_capabilities", q.volume_capabilities)?;
    let parameters = Parameters::parse(&q.parameters)?;
    let size = size(q.capacity_range)?;
    let source = q.volume_content_source.map(Source::parse).transpose()?;
    let mutable = Mutable::parse(&q.mutable_parameters)?;
    let asked = capabilities.iter().find_map(Capability::fs);
    if let (Some(class), Some(asked)) = (parameters.fs, asked)
        && class != asked
    {
        let allowed = format!("{class}, which the StorageClass parameter fsType names");
        return Err(BadField::new("volume_capabilities.mount.fs_type", asked, allowed).into());
    }
    let topology = q.accessibility_requirements.unwrap_or_default();
    let requisite = regions("accessibility_requirements.requisite", &topology.requisite)?;
    let preferred = regions("accessibility_requirements.preferred", &topology.preferred)?;
    let block_only = capabilities.iter().all(|c| c.access == Access::Block);
    let fs = asked.or(parameters.fs).filter(|_| !block_only);
    if !block_only {
        parameters.care.fits("parameters", fs.unwrap_or_default())?;
    }
    Ok(Create { name, size, parameters, fs, requisite, preferred, source, mutable })
}

fn regions(field: &str, topologies: &[pb::Topology]) -> Result<Vec<Region>, BadField> {
    let mut regions = Vec::new();
    for (i, topology) in topologies.iter().enumerate() {
        let field = format!("{field}[{i}].segments");
        let value = topology.segments.get(TOPOLOGY_REGION);
        let value = value.ok_or_else(|| {
            let keys: Vec<&str> = topology.segments.keys().map(String::as_str).collect();
            BadField::new(&field, keys.join(","), format!("segments with the key {TOPOLOGY_REGION}"))
        })?;
        let region = Region::parse(&format!("{field}.{TOPOLOGY_REGION}"), value)?;
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    Ok(regions)
}

pub(crate) fn size(range: Option<pb::CapacityRange>) -> Result<SizeRange, BadSize> {
    let range = range.unwrap_or_default();
    SizeRange::parse(range.required_bytes, range.limit_bytes)
}

/// Takes ControllerPublishVolume: the volume, the node, and whether for reading only.
pub fn publish(q: pb::ControllerPublishVolumeRequest) -> Result<(VolumeId, NodeId, bool), BadField> {
    let volume = VolumeId::parse(q.volume_id)?;
    let node = NodeId::parse(q.node_id)?;
    Capability::parse("volume_capability", q.volume_capability)?;
    Ok((volume, node, q.readonly))
}

pub(crate) fn snapshot(q: pb::CreateSnapshotRequest) -> Result<Take, BadField> {
    let volume = q.source_volume_id;
    if volume.is_empty() {
        return Err(BadField::missing("source_volume_id"));
    }
    let name = text("name", q.name, MAX_FIELD_BYTES)?;
    parameters::none(&q.parameters)?;
    let topology = q.accessibility_requirements.unwrap_or_default();
    let requisite = regions("accessibility_requirements.requisite", &topology.requisite)?;
    Ok(Take { name: disk_name(&name), volume: VolumeId::parse(volume)?, requisite })
}

pub(crate) fn group(q: pb::CreateVolumeGroupSnapshotRequest) -> Result<TakeGroup, GroupError> {
    let name = text("name", q.name, MAX_FIELD_BYTES)?;
    parameters::none(&q.parameters)?;
    if q.source_volume_ids.is_empty() {
        return Err(BadField::missing("source_volume_ids").into());
    }
    let mut disks = BTreeSet::new();
    for id in q.source_volume_ids {
        let volume = VolumeId::parse(id)?;
        let disk = volume.disk().ok_or_else(|| GroupError::NoVolume(volume.to_string()))?;
        if !disks.insert(disk) {
            return Err(BadField::new("source_volume_ids", volume, "each volume once").into());
        }
    }
    Ok(TakeGroup { id: group_id(&name), disks: disks.into_iter().collect() })
}

pub(crate) fn modify(q: pb::ControllerModifyVolumeRequest) -> Result<(VolumeId, Mutable), BadField> {
    Ok((VolumeId::parse(q.volume_id)?, Mutable::parse(&q.mutable_parameters)?))
}

/// Takes ControllerUnpublishVolume.
pub fn unpublish(q: pb::ControllerUnpublishVolumeRequest) -> Result<(VolumeId, Option<NodeId>), BadField> {
    let volume = VolumeId::parse(q.volume_id)?;
    // An empty node id means: from every node (spec).
    let node = if q.node_id.is_empty() { None } else { Some(NodeId::parse(q.node_id)?) };
    Ok((volume, node))
}

/// Takes ControllerExpandVolume.
pub fn expand(q: pb::ControllerExpandVolumeRequest) -> Result<(VolumeId, SizeRange), BadSize> {
    let volume = VolumeId::parse(q.volume_id)?;
    let range = q.capacity_range.ok_or_else(|| BadField::missing("capacity_range"))?;
    if let Some(capability) = q.volume_capability {
        Capability::parse("volume_capability", Some(capability))?;
    }
    Ok((volume, size(Some(range))?))
}
