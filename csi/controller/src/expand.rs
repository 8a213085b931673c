//! ControllerExpandVolume: grow to the wanted size; as large already is success.

use std::sync::Arc;

use eck_csi::capability::Capability;
use eck_csi::driver::GIB;
use eck_csi::field::BadField;
use eck_csi::operations::{OnConflict, Operation};
use eck_csi::volume::{BadSize, DiskId, Region, SizeRange, VolumeId};
use ecx::api::{Disk, Group, ResizeDisk};
use ecx::token;
use proto::csi::v1 as pb;
use tokio::time::Instant;

use crate::accepted::{Ended, Handle};
use crate::driver::Driver;
use crate::error::ExpandError;
use crate::name::{order_subject, other_cluster};

/// An order that fails is ordered anew, each time with a token of its own, so often in one call.
const ATTEMPTS: u32 = 3;

/// What to do about a disk that is to grow.
#[derive(Debug, PartialEq, Eq)]
enum ExpandStep {
    Done,
    Wait,
    Grow,
}

/// ControllerExpandVolume.
#[derive(Debug, PartialEq, Eq)]
pub struct ExpandRequest {
    /// The volume.
    pub volume: VolumeId,
    /// The size that it must have.
    pub size: SizeRange,
}

impl TryFrom<pb::ControllerExpandVolumeRequest> for ExpandRequest {
    type Error = BadSize;

    fn try_from(request: pb::ControllerExpandVolumeRequest) -> Result<Self, BadSize> {
        let volume = VolumeId::parse(request.volume_id)?;
        let range = request.capacity_range.ok_or_else(|| BadField::missing("capacity_range"))?;
        if let Some(capability) = request.volume_capability {
            Capability::parse("volume_capability", Some(capability))?;
        }
        Ok(Self { volume, size: SizeRange::parse(range.required_bytes, range.limit_bytes)? })
    }
}

impl Operation<Driver> for ExpandRequest {
    /// The volume's size in bytes, at least the wanted one.
    type Output = u64;
    type Error = ExpandError;
    const NAME: &'static str = "ControllerExpandVolume";

    fn key(&self) -> String {
        self.volume.to_string()
    }

    fn on_conflict(_: bool) -> OnConflict {
        // As an attach does.
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver>) -> Result<u64, ExpandError> {
        expand(&driver, &self.volume, &self.size).await
    }
}

pub(crate) async fn expand(driver: &Driver, volume: &VolumeId, size: &SizeRange) -> Result<u64, ExpandError> {
    let no_volume = || ExpandError::NoVolume(volume.to_string());
    let id = volume.disk().ok_or_else(no_volume)?;
    let cloud = |source| ExpandError::Cloud { disk: id.to_string(), source };
    let found = driver.disk_locator.locate(&driver.reader, &id).await.map_err(|error| error.or(cloud))?;
    let (region, mut disk) = found.ok_or_else(no_volume)?;
    if let Some(other) = other_cluster(&disk, &driver.cluster) {
        return Err(ExpandError::OtherCluster { disk: id.to_string(), other });
    }
    let purpose = format!("grow {id} to {}", size.min_gib);
    let (mut attempts, deadline) = (0, driver.deadline());
    loop {
        match decide(&disk, size)? {
            ExpandStep::Done => {
                driver.order_attempts.done(&purpose);
                return Ok(disk.size_bytes());
            }
            ExpandStep::Wait => {
                let waited = driver.reader.settled_until(deadline, &region, id.as_str()).await;
                let now = waited.map_err(|source| ExpandError::Wait { disk: id.to_string(), source })?;
                disk = now.ok_or_else(no_volume)?;
            }
            ExpandStep::Grow if attempts == ATTEMPTS => {
                return Err(ExpandError::OrderFailed { disk: id.to_string(), attempts: ATTEMPTS });
            }
            ExpandStep::Grow => {
                attempts += 1;
                let now = order(driver, &region, &id, size, &purpose, deadline).await?;
                disk = now.ok_or_else(no_volume)?;
            }
        }
    }
}

/// Orders the growth and waits for its end; gives the disk as it is then.
async fn order(
    driver: &Driver,
    region: &Region,
    id: &DiskId,
    size: &SizeRange,
    purpose: &str,
    deadline: Instant,
) -> Result<Option<Disk>, ExpandError> {
    let cloud = |source| ExpandError::Cloud { disk: id.to_string(), source };
    let number = driver.order_attempts.next(purpose);
    let body = ResizeDisk {
        client_token: token::resize(&driver.cluster.id, &order_subject(id, number), size.min_gib),
        region_id: region.to_string(),
        disk_id: id.to_string(),
        disk_size: size.min_gib,
    };
    let handle = match driver.client.resize_disk(&body).await {
        Ok(reply) => Handle::order(reply.master_order_id),
        Err(ecx::Error::InProgress(said)) => Handle::order(said.order_id.map(String::from)),
        // The state or the size is not what we saw: look again.
        Err(ecx::Error::DiskState(_) | ecx::Error::Shrink(_)) => {
            return driver.reader.proven(region, id.as_str()).await.map_err(cloud);
        }
        Err(source) => {
            driver.order_attempts.refused(purpose, number, &source);
            return Err(cloud(source));
        }
    };
    let grown = |disk: &Disk| disk.disk_size >= size.min_gib && disk.disk_status.group() != Group::Busy;
    let over =
        |disk: Option<&Disk>| disk.is_none_or(|disk| grown(disk) || disk.disk_status.group() == Group::Dead);
    let ended = driver.ended(region, id.as_str(), &handle, deadline, over).await;
    match ended.map_err(|source| ExpandError::Wait { disk: id.to_string(), source })? {
        Ended::Shown(now) => Ok(now),
        Ended::Failed => {
            driver.order_attempts.failed(purpose, number);
            driver.reader.proven(region, id.as_str()).await.map_err(cloud)
        }
        Ended::NotShown(_) => Err(ExpandError::NotShown { disk: id.to_string(), gib: size.min_gib }),
    }
}

fn decide(disk: &Disk, size: &SizeRange) -> Result<ExpandStep, ExpandError> {
    if disk.disk_status.group() == Group::Busy {
        return Ok(ExpandStep::Wait);
    }
    if disk.disk_size == 0 {
        return Err(ExpandError::NoSize(disk.disk_id.clone()));
    }
    if disk.disk_size > size.max_gib {
        let allowed = format!("at least the disk's size, {} bytes: disks never shrink", disk.size_bytes());
        let field = BadField::new("capacity_range.limit_bytes", size.max_gib * GIB, allowed);
        return Err(ExpandError::OutOfRange(field));
    }
    if disk.disk_status.group() == Group::Dead {
        let (disk, state) = (disk.disk_id.clone(), disk.disk_status.as_str().to_owned());
        return Err(ExpandError::Dead { disk, state });
    }
    Ok(if disk.disk_size >= size.min_gib { ExpandStep::Done } else { ExpandStep::Grow })
}

#[cfg(test)]
mod tests;
