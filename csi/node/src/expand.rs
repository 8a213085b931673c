//! NodeExpandVolume: waits until the kernel shows the new size, then grows what carries the volume and its file system, and proves it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use eck_csi::capability::Capability;
use eck_csi::context::PublishContext;
use eck_csi::field::BadField;
use eck_csi::operations::{OnConflict, Operation, blocking};
use eck_csi::volume::{DiskId, FsType, VolumeId};
use proto::csi::v1 as pb;

use crate::driver::Driver;
use crate::error::ExpandError;
use crate::fields::{RequestError, volume_at};
use crate::host::Host;

/// NodeExpandVolume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpandRequest {
    /// The volume.
    pub volume: VolumeId,
    /// The disk.
    pub disk: DiskId,
    /// Bytes that the device must have; 0 if not said.
    pub bytes: u64,
    /// Where the volume is mounted, or its device file stands.
    pub path: PathBuf,
}

impl TryFrom<pb::NodeExpandVolumeRequest> for ExpandRequest {
    type Error = RequestError;

    fn try_from(request: pb::NodeExpandVolumeRequest) -> Result<Self, RequestError> {
        let range = request.capacity_range.unwrap_or_default();
        for (field, bytes) in [("required_bytes", range.required_bytes), ("limit_bytes", range.limit_bytes)] {
            if bytes < 0 {
                let field = format!("capacity_range.{field}");
                return Err(BadField::new(field, bytes, "0 (not given) or a positive number of bytes").into());
            }
        }
        let bytes = range.required_bytes.unsigned_abs();
        if range.limit_bytes != 0 && bytes > range.limit_bytes.unsigned_abs() {
            let allowed = format!("at most limit_bytes, {}", range.limit_bytes);
            return Err(BadField::new("capacity_range.required_bytes", bytes, allowed).into());
        }
        if let Some(capability) = request.volume_capability {
            Capability::parse("volume_capability", Some(capability))?;
        }
        let (volume, disk, path) = volume_at(request.volume_id, request.volume_path)?;
        Ok(Self { volume, disk, bytes, path })
    }
}

impl<H: Host> Operation<Driver<H>> for ExpandRequest {
    /// The volume's size in bytes afterwards.
    type Output = u64;
    type Error = ExpandError;
    const NAME: &'static str = "NodeExpandVolume";

    fn key(&self) -> String {
        self.volume.to_string()
    }

    fn on_conflict(_: bool) -> OnConflict {
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver<H>>) -> Result<u64, ExpandError> {
        blocking(move || expand(&driver.host, &self, driver.device_deadline())).await
    }
}

fn expand(host: &impl Host, request: &ExpandRequest, deadline: Instant) -> Result<u64, ExpandError> {
    let not_there =
        || ExpandError::NotFound { volume: request.volume.to_string(), path: request.path.clone() };
    if host.devices(&request.disk.serials())?.is_empty() {
        return Err(not_there());
    }
    let node = host.block_device_at(&request.path)?;
    let mount = host.mounts()?.at(&request.path).cloned();
    if node.is_none() && mount.is_none() {
        return Err(not_there());
    }
    let want = PublishContext::new(request.disk.clone(), request.bytes.max(1));
    let device = host.wait_for_device(&want, deadline)?;
    let top = match host.mapping_on(&request.disk, &device)? {
        Some(mapping) => host.resize(&mapping)?,
        None => device.clone(),
    };
    let number = (top.major, top.minor);
    match (node, mount) {
        // A block volume has grown when the kernel shows it.
        (Some(node), _) if node == number => Ok(device.size_bytes),
        (None, Some(mount)) if mount.device == number => {
            let fs = FsType::ALL.into_iter().find(|fs| fs.as_str() == mount.fs);
            let unknown = || ExpandError::UnknownFs { path: request.path.clone(), fs: mount.fs.clone() };
            host.grow(&top, fs.ok_or_else(unknown)?, &request.path)?;
            Ok(device.size_bytes)
        }
        _ => Err(not_there()),
    }
}

#[cfg(test)]
mod tests;
