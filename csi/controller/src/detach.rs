//! ControllerUnpublishVolume: success only when the disk is proven not to be on that machine.

use std::sync::Arc;

use eck_csi::field::BadField;
use eck_csi::operations::{OnConflict, Operation};
use eck_csi::volume::{DiskId, NodeId, Region, VolumeId};
use ecx::api::{AttachDisk, Disk, Group};
use proto::csi::v1 as pb;
use tokio::time::Instant;

use crate::accepted::{Ended, Handle};
use crate::attach_queue::Change;
use crate::driver::Driver;
use crate::error::DetachError;
use crate::name::other_cluster;
use crate::nodes::{Identity, Resolved};

mod guard;

/// What to do about a disk that is to leave a machine.
#[derive(Debug, PartialEq, Eq)]
enum DetachStep {
    Done,
    Wait,
    /// From this machine; from whichever has it, if the cloud does not name it.
    Detach(Option<String>),
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
    if let Some(instance) = node.and_then(|node| driver.nodes.known(node)) {
        driver.left_machines.left(id.as_str(), &instance);
    }
    Ok(())
}

/// Proves that the disk is not on the node, and takes it off if it is; without a node: off every machine.
pub(crate) async fn take_off(driver: &Driver, id: &DiskId, node: Option<&NodeId>) -> Result<(), DetachError> {
    let cloud = |source| DetachError::Cloud { disk: id.to_string(), source };
    let wait = |source| DetachError::Wait { disk: id.to_string(), source };
    let (mut attempts, deadline, known) =
        (0, driver.deadline(), node.and_then(|node| driver.nodes.known(node)));
    let mut sure = known.as_ref().is_some_and(|instance| looks_are_later(driver, id, instance));
    let (region, mut now) = match (driver.disk_locator.known(id), known) {
        // A detach names the machine, so it cannot take the disk from another one: it needs no look before. Whatever it is answered,
        // the disk is looked at afterwards.
        (Some(region), Some(instance)) if guard::has_let_go(driver, id, node).await? => {
            attempts += 1;
            let now = act(driver, &region, Some(&instance), id, true, deadline, &mut sure).await?;
            (region, now)
        }
        _ => match located(driver, id).await? {
            Some((region, disk)) => (region, Some(disk)),
            None => return Ok(()),
        },
    };
    // From a node it is taken whosever it is: the node is this cluster's. From every machine it is taken if the disk is.
    let others = now.as_ref().and_then(|disk| other_cluster(disk, &driver.cluster));
    if let Some(other) = others.filter(|_| node.is_none()) {
        return Err(DetachError::OtherCluster { disk: id.to_string(), other });
    }
    loop {
        let Some(disk) = now else { return Ok(()) };
        now = match step(driver, &region, &disk, node).await? {
            DetachStep::Done if sure => return Ok(()),
            DetachStep::Done => {
                tokio::time::sleep(driver.reader.lag()).await;
                sure = true;
                driver.reader.proven(&region, id.as_str()).await.map_err(cloud)?
            }
            DetachStep::Wait => {
                driver.reader.settled_until(deadline, &region, id.as_str()).await.map_err(wait)?
            }
            DetachStep::Detach(_) if attempts == ATTEMPTS => {
                return Err(DetachError::StillHeld { disk: id.to_string(), holders: told(&disk), attempts });
            }
            DetachStep::Detach(instance) => {
                guard::permit(driver, &region, id, node, instance.as_deref()).await?;
                attempts += 1;
                act(driver, &region, instance.as_deref(), id, attempts < ATTEMPTS, deadline, &mut sure)
                    .await?
            }
        };
    }
}

/// The disk by its own word, and where it is; `None` if it is gone.
async fn located(driver: &Driver, id: &DiskId) -> Result<Option<(Region, Disk)>, DetachError> {
    let cloud = |source| DetachError::Cloud { disk: id.to_string(), source };
    let located = driver.disk_locator.locate_proven(&driver.reader, id).await;
    located.map_err(|error| error.or(cloud))
}

/// Whether every look is from after the disk came to the machine: it is there for longer than looks can lag, or it left it and nobody asked
/// for it there since. Otherwise "free" may be from before an attach of just now, or of another controller.
fn looks_are_later(driver: &Driver, id: &DiskId, instance: &str) -> bool {
    let there = driver.publish_modes.known_for(id, instance);
    there.is_some_and(|there| there >= driver.reader.lag())
        || driver.left_machines.left_for(id.as_str(), instance).is_some()
}

/// What to do about the disk as it is, by its own word. It has left the node when it is free, or with machines that are others for sure.
async fn step(
    driver: &Driver,
    region: &Region,
    disk: &Disk,
    node: Option<&NodeId>,
) -> Result<DetachStep, DetachError> {
    let node = match (decide(disk, node.map(|_| &[] as &[String])), node) {
        (Some(decided), _) => return Ok(decided),
        // Without a node every holder is meant, and nothing is to be found out.
        (None, None) => return Ok(DetachStep::Wait),
        (None, Some(node)) => node,
    };
    let cloud = |source| DetachError::Cloud { disk: disk.disk_id.clone(), source };
    let candidates = match driver.nodes.resolve(&driver.client, node).await.map_err(cloud)? {
        Resolved::One(machine) => vec![machine.instance],
        Resolved::Several(machines) => machines,
        Resolved::None => vec![],
    };
    match decide(disk, Some(&candidates)) {
        Some(decided) => Ok(decided),
        None => identify(driver, region, disk, node).await,
    }
}

/// `candidates`: the machines that the node can be; `None`: every machine is meant. Nothing is decided of a disk on another machine:
/// that one is to be identified.
fn decide(disk: &Disk, candidates: Option<&[String]>) -> Option<DetachStep> {
    let holders = disk.holders();
    match (disk.disk_status.group(), candidates) {
        (Group::Busy, _) => Some(DetachStep::Wait),
        (Group::Settled | Group::Dead, _) if holders.is_empty() => Some(DetachStep::Done),
        (_, None) => Some(DetachStep::Detach(holders.first().map(|holder| (*holder).to_owned()))),
        // The detach names the machine, so it takes the disk from no other.
        (_, Some([one])) if holders.is_empty() => Some(DetachStep::Detach(Some(one.clone()))),
        (_, Some(candidates)) => {
            let held = candidates.iter().find(|one| holders.contains(&one.as_str()));
            held.map(|held| DetachStep::Detach(Some(held.clone())))
        }
    }
}

/// Whether the machines that hold the disk are the node all the same: it may have got another machine, or be one that the cloud does
/// not show by its address.
async fn identify(
    driver: &Driver,
    region: &Region,
    disk: &Disk,
    node: &NodeId,
) -> Result<DetachStep, DetachError> {
    let (holders, mut others) = (disk.holders(), 0);
    for holder in &holders {
        let identity = driver.nodes.identity(&driver.client, region, holder, node).await;
        match identity.map_err(|source| DetachError::Cloud { disk: disk.disk_id.clone(), source })? {
            Identity::Same => return Ok(DetachStep::Detach(Some((*holder).to_owned()))),
            Identity::Other => others += 1,
            Identity::Unknown => {}
        }
    }
    if !holders.is_empty() && others == holders.len() {
        return Ok(DetachStep::Done);
    }
    let (node, holders) = (node.to_string(), told(disk));
    Err(DetachError::UnknownNode { disk: disk.disk_id.clone(), node, holders })
}

/// The machines that hold the disk, for messages.
fn told(disk: &Disk) -> String {
    let holders = disk.holders().join(", ");
    if holders.is_empty() { "a machine that the cloud does not name".to_owned() } else { holders }
}

/// Whether the machine may hold the disk; `None`: any machine.
fn holds(disk: &Disk, instance: Option<&str>) -> bool {
    let holders = disk.holders();
    let untold = holders.is_empty() && disk.disk_status.group() == Group::Attached;
    untold || instance.map_or(!holders.is_empty(), |instance| holders.contains(&instance))
}

/// Sends the detach and waits for its end; gives the disk as it is then, `None` if it is gone. `again`: whether a refusal may
/// be met by another look. `sure` becomes true if the cloud says of the detach itself that it is done.
async fn act(
    driver: &Driver,
    region: &Region,
    instance: Option<&str>,
    disk: &DiskId,
    again: bool,
    deadline: Instant,
    sure: &mut bool,
) -> Result<Option<Disk>, DetachError> {
    let _permit = driver.attach_queue.acquire(instance.unwrap_or_default(), Change::Detach).await;
    let id = disk.to_string();
    let (region_id, instance_id) = (region.to_string(), instance.map(str::to_owned));
    let body = AttachDisk { region_id, disk_id: id.clone(), instance_id };
    let job = match driver.client.detach_disk(&body).await {
        Ok(reply) => Handle::job(reply),
        Err(source) => return refused(driver, region, instance, &id, again, source).await,
    };
    let over = |disk: Option<&Disk>| {
        disk.is_none_or(|disk| disk.disk_status.group() != Group::Busy && !holds(disk, instance))
    };
    let ended = driver.ended(region, &id, &job, deadline, over).await;
    match ended.map_err(|source| DetachError::Wait { disk: id.clone(), source })? {
        Ended::Shown(now) => {
            let of_now = Instant::now() + driver.reader.lag();
            *sure = *sure || driver.said_done(region, &job, of_now).await;
            Ok(now)
        }
        Ended::NotShown(now) => Ok(now),
        Ended::Failed => {
            let instance = instance.unwrap_or("its machine").to_owned();
            Err(DetachError::JobFailed { disk: id, instance })
        }
    }
}

/// A refusal is a hint, never an answer: the disk tells. An error if it is where it was and nothing goes on.
async fn refused(
    driver: &Driver,
    region: &Region,
    instance: Option<&str>,
    id: &str,
    again: bool,
    source: ecx::Error,
) -> Result<Option<Disk>, DetachError> {
    if let (ecx::Error::InstanceNotFound(_), Some(instance)) = (&source, instance) {
        driver.nodes.forget(instance);
    }
    let cloud = |source| DetachError::Cloud { disk: id.to_owned(), source };
    let now = driver.reader.proven(region, id).await.map_err(cloud)?;
    let held =
        now.as_ref().is_some_and(|disk| disk.disk_status.group() != Group::Busy && holds(disk, instance));
    let passes = matches!(source, ecx::Error::DiskState(_) | ecx::Error::InstanceNotFound(_));
    if held && !(passes && again) { Err(cloud(source)) } else { Ok(now) }
}

#[cfg(test)]
mod tests;
