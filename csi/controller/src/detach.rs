//! ControllerUnpublishVolume: success only when the disk is proven not to be on that machine.

use std::sync::Arc;

use eck_csi::field::BadField;
use eck_csi::operations::{OnConflict, Operation};
use eck_csi::volume::{DiskId, NodeId, Region, VolumeId};
use ecx::api::{AttachDisk, Disk, Group};
use proto::csi::v1 as pb;

use crate::attach_queue::Change;
use crate::driver::Driver;
use crate::error::DetachError;

/// What to do about a disk that is to leave a machine.
#[derive(Debug, PartialEq, Eq)]
enum DetachStep {
    Done,
    Wait,
    /// From this machine.
    Detach(String),
}

/// A detach that the cloud refuses although the disk is there, attached and at rest is sent so often.
const ATTEMPTS: u32 = 3;

/// ControllerUnpublishVolume.
#[derive(Debug, PartialEq, Eq)]
pub struct DetachRequest {
    /// The volume.
    pub volume: VolumeId,
    /// The machine that is to have it no more; `None` for every machine.
    pub node: Option<NodeId>,
}

impl TryFrom<pb::ControllerUnpublishVolumeRequest> for DetachRequest {
    type Error = BadField;

    fn try_from(request: pb::ControllerUnpublishVolumeRequest) -> Result<Self, BadField> {
        let volume = VolumeId::parse(request.volume_id)?;
        // An empty node id means: from every node (spec).
        let node = if request.node_id.is_empty() { None } else { Some(NodeId::parse(request.node_id)?) };
        Ok(Self { volume, node })
    }
}

impl Operation<Driver> for DetachRequest {
    type Output = ();
    type Error = DetachError;
    const NAME: &'static str = "ControllerUnpublishVolume";

    fn key(&self) -> String {
        self.volume.to_string()
    }

    fn on_conflict(_: bool) -> OnConflict {
        // As an attach does.
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver>) -> Result<(), DetachError> {
        detach(&driver, &self.volume, self.node.as_ref()).await
    }
}

async fn detach(driver: &Driver, volume: &VolumeId, node: Option<&NodeId>) -> Result<(), DetachError> {
    // No disk, or none of ours: it is on no machine.
    let Some(id) = volume.disk() else { return Ok(()) };
    take_off(driver, &id, node).await?;
    driver.publish_modes.unpublish(&id);
    Ok(())
}

async fn take_off(driver: &Driver, id: &DiskId, node: Option<&NodeId>) -> Result<(), DetachError> {
    let cloud = |source| DetachError::Cloud { disk: id.to_string(), source };
    let wait = |source| DetachError::Wait { disk: id.to_string(), source };
    let instance = match node {
        None => None,
        Some(node) => match driver.nodes.resolve(&driver.client, node).await.map_err(cloud)? {
            Some(machine) => Some(machine.instance),
            // The machine does not exist: nothing is attached to it.
            None => return Ok(()),
        },
    };
    let (region, mut step) = match (driver.disk_locator.known(id), &instance) {
        // A detach names the machine, so it cannot take the disk from another one: it needs no look before, the cloud's
        // refusal is one.
        (Some(region), Some(instance)) => (region, DetachStep::Detach(instance.clone())),
        _ => match driver.disk_locator.locate(&driver.reader, id).await.map_err(cloud)? {
            Some((region, disk)) => (region, decide(&disk, instance.as_deref())),
            None => return Ok(()),
        },
    };
    let mut attempts = 0;
    loop {
        let now = match step {
            DetachStep::Done => return Ok(()),
            DetachStep::Wait => driver.reader.settled(&region, id.as_str()).await.map_err(wait)?,
            DetachStep::Detach(instance) => {
                let _permit = driver.attach_queue.acquire(&instance, Change::Detach).await;
                attempts += 1;
                act(driver, &region, &instance, id, attempts < ATTEMPTS).await?
            }
        };
        let Some(disk) = now else { return Ok(()) };
        step = decide(&disk, instance.as_deref());
    }
}

/// `instance`: from which machine; `None`: from any.
fn decide(disk: &Disk, instance: Option<&str>) -> DetachStep {
    match disk.disk_status.group() {
        Group::Settled => DetachStep::Done,
        Group::Busy => DetachStep::Wait,
        Group::Attached | Group::Dead => {
            let holders = disk.holders();
            let mut wanted = holders.iter().filter(|holder| instance.is_none_or(|i| i == **holder));
            wanted.next().map_or(DetachStep::Done, |holder| DetachStep::Detach((*holder).to_owned()))
        }
    }
}

/// Sends the detach and waits for its end; gives the disk as it is then, `None` if it is gone. `again`: whether a refusal may
/// be met by another look.
async fn act(
    driver: &Driver,
    region: &Region,
    instance: &str,
    disk: &DiskId,
    again: bool,
) -> Result<Option<Disk>, DetachError> {
    let id = disk.to_string();
    let cloud = |source| DetachError::Cloud { disk: id.clone(), source };
    let body = AttachDisk {
        region_id: region.to_string(),
        disk_id: id.clone(),
        instance_id: Some(instance.to_owned()),
    };
    let job = match driver.client.detach_disk(&body).await {
        Ok(reply) => reply.disk_request_id.or(reply.disk_job_id),
        Err(ecx::Error::DiskNotFound(_)) => return Ok(None),
        // The disk is not there, or something goes on with it, or the machine is gone: the disk tells.
        Err(ecx::Error::DiskState(_) | ecx::Error::InstanceNotFound(_)) if again => {
            return driver.reader.disk(region, &id).await.map_err(cloud);
        }
        Err(source) if source.outcome_unknown() => {
            let now = driver.reader.disk(region, &id).await.map_err(cloud)?;
            // Still attached and nothing goes on: sending again is for the retry, which reads first.
            let held = now.as_ref().is_some_and(|d| d.disk_status.group() == Group::Attached);
            return if held { Err(cloud(source)) } else { Ok(now) };
        }
        Err(source) => return Err(cloud(source)),
    };
    let waited = driver.reader.settled(region, &id).await;
    let now = waited.map_err(|source| DetachError::Wait { disk: id.clone(), source })?;
    let held = now.as_ref().is_some_and(|d| d.holders().contains(&instance));
    if held && driver.job_failed(region, job).await {
        return Err(DetachError::JobFailed { disk: id, instance: instance.to_owned() });
    }
    Ok(now)
}

#[cfg(test)]
mod tests;
