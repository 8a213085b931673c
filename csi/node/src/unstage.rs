//! NodeUnstageVolume: success only when nothing is mounted at the path and nobody on this machine holds the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eck_csi::field::BadField;
use eck_csi::operations::{OnConflict, Operation, blocking};
use eck_csi::volume::VolumeId;
use proto::csi::v1 as pb;

use crate::driver::Driver;
use crate::error::LeaveError;
use crate::fields::path;
use crate::host::{Device, Host, MountTable};
use crate::trim::schedule::warn_of_schedule;

/// NodeUnstageVolume.
#[derive(Debug, PartialEq, Eq)]
pub struct UnstageRequest {
    /// The volume.
    pub volume: VolumeId,
    /// Where it was staged.
    pub staging: PathBuf,
}

impl TryFrom<pb::NodeUnstageVolumeRequest> for UnstageRequest {
    type Error = BadField;

    fn try_from(request: pb::NodeUnstageVolumeRequest) -> Result<Self, BadField> {
        let volume = VolumeId::parse(request.volume_id)?;
        Ok(Self { volume, staging: path("staging_target_path", request.staging_target_path)? })
    }
}

impl<H: Host> Operation<Driver<H>> for UnstageRequest {
    type Output = ();
    type Error = LeaveError;
    const NAME: &'static str = "NodeUnstageVolume";

    fn key(&self) -> String {
        self.volume.to_string()
    }

    fn on_conflict(_: bool) -> OnConflict {
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver<H>>) -> Result<(), LeaveError> {
        blocking(move || {
            unstage(&driver.host, &self.volume, &self.staging)?;
            driver.history.forget(&self.volume);
            if let Some(disk) = self.volume.disk() {
                warn_of_schedule(driver.trims.remove(&disk));
            }
            Ok(())
        })
        .await
    }
}

fn unstage(host: &impl Host, volume: &VolumeId, staging: &Path) -> Result<(), LeaveError> {
    host.unmount(staging)?;
    // A volume whose disk is not here (any more) is held by nobody here.
    let Some(disk) = volume.disk() else { return Ok(()) };
    if let Some(mapping) = host.mapping(&disk)? {
        if host.in_use(&mapping.device)? {
            return Err(held(&mapping.device, &host.mounts()?));
        }
        host.close(&mapping)?;
    }
    for device in host.devices(&disk.serials())? {
        if host.in_use(&device)? {
            return Err(held(&device, &host.mounts()?));
        }
    }
    Ok(())
}

fn held(device: &Device, table: &MountTable) -> LeaveError {
    let mounts = table.of_device((device.major, device.minor)).map(|m| m.target.display().to_string());
    let mounts: Vec<String> = mounts.collect();
    let mounts = if mounts.is_empty() { "no path seen here".to_owned() } else { mounts.join(", ") };
    LeaveError::InUse { device: device.name.clone(), mounts }
}
