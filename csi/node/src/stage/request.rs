//! NodeStageVolume's request, parsed.

use std::path::PathBuf;

use eck_csi::capability::Capability;
use eck_csi::context::{PublishContext, VolumeContext};
use eck_csi::volume::VolumeId;
use eck_csi::volume_options::{Discard, VolumeOptions};
use proto::csi::v1 as pb;

use crate::fields::{AccessType, RequestError, access, path, publish_context};
use crate::host::Depth;

mod keys;

pub(crate) use keys::Keys;

/// NodeStageVolume. No `Debug`: it holds keys.
#[derive(Clone, PartialEq, Eq)]
pub struct StageRequest {
    /// The volume.
    pub volume: VolumeId,
    /// Which disk to look for.
    pub publish: PublishContext,
    /// Where it is staged.
    pub staging: PathBuf,
    /// How.
    pub access: AccessType,
    /// The workload may only read.
    pub read_only: bool,
    /// This driver ordered the disk itself, empty.
    pub provisioned: bool,
    /// What the disk's content was made from.
    pub source: Option<String>,
    /// How the file system is made and kept.
    pub options: VolumeOptions,
    /// What opens the disk; `None` if it is not encrypted.
    pub keys: Option<Keys>,
}

impl StageRequest {
    /// How much of the disk must read as zero before it counts as blank. An adopted one may hold anything anywhere, so all of it.
    pub(crate) fn depth(&self) -> Depth {
        if self.provisioned { Depth::Sampled } else { Depth::Whole }
    }
}

impl TryFrom<pb::NodeStageVolumeRequest> for StageRequest {
    type Error = RequestError;

    fn try_from(request: pb::NodeStageVolumeRequest) -> Result<Self, RequestError> {
        let volume = VolumeId::parse(request.volume_id)?;
        let staging = path("staging_target_path", request.staging_target_path)?;
        let capability = Capability::parse("volume_capability", request.volume_capability)?;
        let context = VolumeContext::parse(&request.volume_context)?;
        let (mut access, read_only) = access(capability, &context)?;
        if let AccessType::Mount { options, .. } = &mut access
            && context.options.discard == Discard::Mount
            && !options.iter().any(|option| option == "discard" || option == "nodiscard")
        {
            options.push("discard".to_owned());
        }
        let publish = publish_context(&volume, &request.publish_context)?;
        let read_only = read_only || publish.readonly;
        let VolumeContext { provisioned, source, options, .. } = context;
        let keys = keys::parse(options.encryption, &request.secrets)?;
        Ok(Self { volume, publish, staging, access, read_only, provisioned, source, options, keys })
    }
}

#[cfg(test)]
mod tests;
