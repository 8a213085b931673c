//! CreateVolume's request, parsed.

use std::fmt;

use eck_csi::capability::{Access, Capability};
use eck_csi::driver::MAX_FIELD_BYTES;
use eck_csi::field::{BadField, text};
use eck_csi::volume::{BadSize, FsType, Region, SizeRange, VolumeId};
use proto::csi::v1 as pb;

use crate::modify::Mutable;
use crate::parameters::Parameters;
use crate::snapshot::SnapshotId;
use crate::topology::regions;

/// CreateVolume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
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

impl TryFrom<pb::CreateVolumeRequest> for CreateRequest {
    type Error = BadSize;

    fn try_from(request: pb::CreateVolumeRequest) -> Result<Self, BadSize> {
        let name = text("name", request.name, MAX_FIELD_BYTES)?;
        let capabilities = Capability::parse_all("volume_capabilities", request.volume_capabilities)?;
        let parameters = Parameters::parse(&request.parameters)?;
        let range = request.capacity_range.unwrap_or_default();
        let size = SizeRange::parse(range.required_bytes, range.limit_bytes)?;
        let source = request.volume_content_source.map(Source::parse).transpose()?;
        let mutable = Mutable::parse(&request.mutable_parameters)?;
        let asked = capabilities.iter().find_map(Capability::fs);
        if let (Some(class), Some(asked)) = (parameters.fs, asked)
            && class != asked
        {
            let allowed = format!("{class}, which the StorageClass parameter fsType names");
            return Err(BadField::new("volume_capabilities.mount.fs_type", asked, allowed).into());
        }
        let topology = request.accessibility_requirements.unwrap_or_default();
        let requisite = regions("accessibility_requirements.requisite", &topology.requisite)?;
        let preferred = regions("accessibility_requirements.preferred", &topology.preferred)?;
        let block_only = capabilities.iter().all(|c| c.access == Access::Block);
        let fs = asked.or(parameters.fs).filter(|_| !block_only);
        if !block_only {
            parameters.options.fits("parameters", fs.unwrap_or_default())?;
        }
        Ok(Self { name, size, parameters, fs, requisite, preferred, source, mutable })
    }
}

/// What a volume's content is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Snapshot(SnapshotId),
    Volume(VolumeId),
}

impl Source {
    /// Its kind, for errors.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Self::Snapshot(_) => "snapshot",
            Self::Volume(_) => "volume",
        }
    }

    /// As CSI words it.
    pub(crate) fn to_proto(&self) -> pb::VolumeContentSource {
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

#[cfg(test)]
mod tests;
