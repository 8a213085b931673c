//! CSI requests, parsed once into what the operations work on.

use eck_csi::capability::{Access, Capability};
use eck_csi::driver::{MAX_FIELD_BYTES, TOPOLOGY_REGION};
use eck_csi::field::{BadField, text};
use eck_csi::operations::{Request, Rule};
use eck_csi::volume::{BadSize, FsType, NodeId, Region, SizeRange, VolumeId};
use proto::csi::v1 as pb;

use crate::parameters::Parameters;

/// CreateVolume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Create {
    pub(crate) name: String,
    pub(crate) size: SizeRange,
    pub(crate) parameters: Parameters,
    /// The file system that the node will make if it finds the disk blank.
    pub(crate) fs: Option<FsType>,
    /// Regions in which the volume must be reachable; empty for anywhere.
    pub(crate) requisite: Vec<Region>,
    /// Regions in the order of preference.
    pub(crate) preferred: Vec<Region>,
}

/// Any operation that changes something, as the table of running operations compares them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Create(Create),
    Delete(VolumeId),
    Publish(VolumeId, NodeId),
    Unpublish(VolumeId, Option<NodeId>),
    Expand(VolumeId, SizeRange),
}

impl Request for Ask {
    fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "CreateVolume",
            Self::Delete(_) => "DeleteVolume",
            Self::Publish(..) => "ControllerPublishVolume",
            Self::Unpublish(..) => "ControllerUnpublishVolume",
            Self::Expand(..) => "ControllerExpandVolume",
        }
    }

    fn rule(&self, _running: &Self) -> Rule {
        match self {
            // Attach, detach and growth of one disk follow each other: the later one looks at what the earlier one left.
            Self::Publish(..) | Self::Unpublish(..) | Self::Expand(..) => Rule::Wait,
            // A create with other arguments, or a delete of a disk that is being used, is the caller's contradiction.
            Self::Create(_) | Self::Delete(_) => Rule::Abort,
        }
    }
}

pub(crate) fn create(q: pb::CreateVolumeRequest) -> Result<Create, BadSize> {
    let name = text("name", q.name, MAX_FIELD_BYTES)?;
    let capabilities = Capability::parse_all("volume_capabilities", q.volume_capabilities)?;
    let parameters = Parameters::parse(&q.parameters)?;
    let size = size(q.capacity_range)?;
    if q.volume_content_source.is_some() {
        let allowed = "nothing: the driver does not advertise CREATE_DELETE_SNAPSHOT or CLONE_VOLUME";
        return Err(BadField::new("volume_content_source", "set", allowed).into());
    }
    if !q.mutable_parameters.is_empty() {
        let allowed = "nothing: the driver does not advertise MODIFY_VOLUME";
        return Err(BadField::new("mutable_parameters", "set", allowed).into());
    }
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
    Ok(Create { name, size, parameters, fs, requisite, preferred })
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

pub(crate) fn publish(q: pb::ControllerPublishVolumeRequest) -> Result<(VolumeId, NodeId), BadField> {
    let volume = VolumeId::parse(q.volume_id)?;
    let node = NodeId::parse(q.node_id)?;
    Capability::parse("volume_capability", q.volume_capability)?;
    if q.readonly {
        // The spec: the CO must not set it unless PUBLISH_READONLY is advertised. The node mounts read-only instead.
        let allowed = "false: the driver does not advertise PUBLISH_READONLY, read-only is the node's work";
        return Err(BadField::new("readonly", true, allowed));
    }
    Ok((volume, node))
}

pub(crate) fn unpublish(
    q: pb::ControllerUnpublishVolumeRequest,
) -> Result<(VolumeId, Option<NodeId>), BadField> {
    let volume = VolumeId::parse(q.volume_id)?;
    // An empty node id means: from every node (spec).
    let node = if q.node_id.is_empty() { None } else { Some(NodeId::parse(q.node_id)?) };
    Ok((volume, node))
}

pub(crate) fn expand(q: pb::ControllerExpandVolumeRequest) -> Result<(VolumeId, SizeRange), BadSize> {
    let volume = VolumeId::parse(q.volume_id)?;
    let range = q.capacity_range.ok_or_else(|| BadField::missing("capacity_range"))?;
    if let Some(capability) = q.volume_capability {
        Capability::parse("volume_capability", Some(capability))?;
    }
    Ok((volume, size(Some(range))?))
}
