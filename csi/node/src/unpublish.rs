//! NodeUnpublishVolume: success when nothing is mounted at the target and the target is gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eck_csi::field::BadField;
use eck_csi::operations::{OnConflict, Operation, blocking};
use eck_csi::volume::VolumeId;
use proto::csi::v1 as pb;

use crate::driver::Driver;
use crate::error::LeaveError;
use crate::fields::path;
use crate::host::Host;

/// NodeUnpublishVolume.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnpublishRequest {
    volume: VolumeId,
    target: PathBuf,
}

impl TryFrom<pb::NodeUnpublishVolumeRequest> for UnpublishRequest {
    type Error = BadField;

    fn try_from(request: pb::NodeUnpublishVolumeRequest) -> Result<Self, BadField> {
        let volume = VolumeId::parse(request.volume_id)?;
        Ok(Self { volume, target: path("target_path", request.target_path)? })
    }
}

impl<H: Host> Operation<Driver<H>> for UnpublishRequest {
    type Output = ();
    type Error = LeaveError;
    const NAME: &'static str = "NodeUnpublishVolume";

    fn key(&self) -> String {
        self.volume.to_string()
    }

    fn on_conflict(_: bool) -> OnConflict {
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver<H>>) -> Result<(), LeaveError> {
        blocking(move || unpublish(&driver.host, &self.target)).await
    }
}

fn unpublish(host: &impl Host, target: &Path) -> Result<(), LeaveError> {
    host.unmount(target)?;
    Ok(host.remove_target(target)?)
}
