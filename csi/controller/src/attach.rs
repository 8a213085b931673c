//! ControllerPublishVolume: never attached twice, and a retry of a lost reply attaches nothing anew.
//!
//! There is no client token for an attach, so the disk is read before each write and again after every unknown outcome.

use std::sync::Arc;

use eck_csi::capability::Capability;
use eck_csi::context::PublishContext;
use eck_csi::field::BadField;
use eck_csi::operations::{OnConflict, Operation};
use eck_csi::volume::{DiskId, NodeId, Region, VolumeId};
use ecx::api::{AttachDisk, Disk, Group};
use proto::csi::v1 as pb;
use tokio::time::Instant;

use crate::accepted::{Ended, Handle};
use crate::attach_queue::Change;
use crate::detach;
use crate::disk_reader::Query;
use crate::driver::Driver;
use crate::error::AttachError;
use crate::name::other_cluster;
use crate::nodes::{Machine, Resolved};

/// What to do about a disk that is to be on `instance`.
#[derive(Debug, PartialEq, Eq)]
enum AttachStep {
    /// It is there.
    Done,
    /// Something goes on: look again when it has ended.
    Wait,
    Attach,
    /// The cloud does not tell which machine holds it: the machine may tell.
    Identify,
    /// Another machine holds it.
    Refuse,
}

/// An attach that the cloud refuses although the disk is free and at rest is sent so often.
const ATTEMPTS: u32 = 3;

/// The holder of a disk of which the cloud says no more than that it is attached.
const UNTOLD: &str = "a machine that the cloud does not name";

/// ControllerPublishVolume.
#[derive(Debug, PartialEq, Eq)]
pub struct AttachRequest {
    /// The volume.
    pub volume: VolumeId,
    /// The machine that is to have it.
    pub node: NodeId,
    /// The node may only read.
    pub readonly: bool,
}

impl TryFrom<pb::ControllerPublishVolumeRequest> for AttachRequest {
    type Error = BadField;

    fn try_from(request: pb::ControllerPublishVolumeRequest) -> Result<Self, BadField> {
        let volume = VolumeId::parse(request.volume_id)?;
        let node = NodeId::parse(request.node_id)?;
        Capability::parse("volume_capability", request.volume_capability)?;
        Ok(Self { volume, node, readonly: request.readonly })
    }
}

impl Operation<Driver> for AttachRequest {
    type Output = PublishContext;
    type Error = AttachError;
    const NAME: &'static str = "ControllerPublishVolume";

    fn key(&self) -> String {
        self.volume.to_string()
    }

    fn on_conflict(_: bool) -> OnConflict {
        // What is done to one disk follows each other: the later operation looks at what the earlier one left.
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver>) -> Result<PublishContext, AttachError> {
        attach(&driver, &self).await
    }
}

async fn attach(driver: &Driver, request: &AttachRequest) -> Result<PublishContext, AttachError> {
    let AttachRequest { volume, node, readonly } = request;
    let readonly = *readonly;
    let no_volume = || AttachError::NoVolume(volume.to_string());
    let id = volume.disk().ok_or_else(no_volume)?;
    let cloud = |source| AttachError::Cloud { disk: id.to_string(), source };
    let found = driver.disk_locator.locate(&driver.reader, &id).await.map_err(|error| error.or(cloud))?;
    let (region, mut disk) = found.ok_or_else(no_volume)?;
    if let Some(other) = other_cluster(&disk, &driver.cluster) {
        return Err(AttachError::OtherCluster { disk: id.to_string(), other });
    }
    let machine = the_machine(driver, node, &id, &region).await?;
    let mut doubt = Doubt::of(driver, &id, &machine.instance);
    driver.left_machines.wanted(id.as_str(), &machine.instance);
    let (mut attempts, mut accepted, mut freed, deadline) = (0, false, false, driver.deadline());
    loop {
        match decide(&disk, &machine.instance)? {
            AttachStep::Done if doubt != Doubt::None => {
                (disk, doubt) = doubt.settled(driver, &machine, &disk).await?;
            }
            AttachStep::Done => return published(driver, &machine, &id, &disk, readonly),
            // It was free, and the cloud has taken our attach: no other machine can have it since.
            AttachStep::Identify if accepted => return published(driver, &machine, &id, &disk, readonly),
            AttachStep::Identify => {
                if driver.nodes.shows(&driver.client, &machine, id.as_str()).await.map_err(cloud)? {
                    return published(driver, &machine, &id, &disk, readonly);
                }
                return Err(AttachError::Elsewhere { disk: id.to_string(), holders: UNTOLD.to_owned() });
            }
            AttachStep::Wait => disk = settled(driver, &machine, &disk, deadline).await?,
            AttachStep::Refuse if !freed && driver.left_machines.strays(&disk) => {
                freed = true;
                disk = free(driver, &region, &id, &disk).await?;
            }
            AttachStep::Refuse => return Err(elsewhere(driver, &region, &disk)),
            AttachStep::Attach if attempts == ATTEMPTS => {
                return Err(AttachError::NotShown { disk: id.to_string(), attempts });
            }
            AttachStep::Attach => {
                // Free: whatever was remembered of its being somewhere is over.
                driver.publish_modes.unpublish(&id);
                let _permit = driver.attach_queue.acquire(&machine.instance, Change::Attach).await;
                attempts += 1;
                (disk, accepted) =
                    act(driver, &machine, node, disk, doubt, attempts < ATTEMPTS, deadline).await?;
                doubt = if accepted { Doubt::None } else { doubt };
            }
        }
    }
}

/// Whether a look that shows the disk on the machine may be from before it left that machine the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    /// A list may: the disk's own word decides.
    Lists,
    /// Every read may, for a while.
    Reads,
}

impl Doubt {
    fn of(driver: &Driver, id: &DiskId, instance: &str) -> Self {
        match driver.left_machines.left_for(id.as_str(), instance) {
            Some(ago) if ago < driver.reader.lag() => Self::Reads,
            _ if driver.left_machines.is_new(id.as_str()) => Self::None,
            _ => Self::Lists,
        }
    }

    /// The disk by its own word, of a time after it left the machine. That it is not there after all shows that what was seen before is of
    /// an earlier time.
    async fn settled(
        self,
        driver: &Driver,
        machine: &Machine,
        disk: &Disk,
    ) -> Result<(Disk, Self), AttachError> {
        if self == Self::Reads {
            tokio::time::sleep(driver.reader.lag()).await;
        }
        let now = read(driver, machine, disk).await?;
        let there = decide(&now, &machine.instance)? == AttachStep::Done;
        Ok((now, if there { Self::None } else { Self::Lists }))
    }
}

/// The spec: the message names the node by its node id.
fn elsewhere(driver: &Driver, region: &Region, disk: &Disk) -> AttachError {
    let name = |instance: &&str| driver.nodes.name(region, instance).to_string();
    let holders = disk.holders().iter().map(name).collect::<Vec<_>>().join(", ");
    AttachError::Elsewhere { disk: disk.disk_id.clone(), holders }
}

/// Takes a disk off a machine that it had left, where a late attach has put it again: nothing of it is mounted there, and nobody asked
/// for it there since.
async fn free(driver: &Driver, region: &Region, id: &DiskId, disk: &Disk) -> Result<Disk, AttachError> {
    for instance in disk.holders() {
        tracing::warn!(disk = id.as_str(), instance, "A late attach has put the disk where nobody wants it");
        let node = driver.nodes.name(region, instance);
        let freed = detach::take_off(driver, id, Some(&node)).await;
        freed.map_err(|source| AttachError::Stray { disk: id.to_string(), source: Box::new(source) })?;
    }
    let now = driver.reader.disk(region, id.as_str()).await;
    let now = now.map_err(|source| AttachError::Cloud { disk: id.to_string(), source })?;
    now.ok_or_else(|| AttachError::NoVolume(id.to_string()))
}

/// The one machine of the node, which must be in the disk's region.
async fn the_machine(
    driver: &Driver,
    node: &NodeId,
    id: &DiskId,
    region: &Region,
) -> Result<Machine, AttachError> {
    let resolved = driver.nodes.resolve(&driver.client, node).await;
    match resolved.map_err(|source| AttachError::Cloud { disk: id.to_string(), source })? {
        Resolved::One(machine) if machine.region == *region => Ok(machine),
        Resolved::One(machine) => {
            let (disk_region, node_region) = (region.to_string(), machine.region.to_string());
            let (disk, node) = (id.to_string(), node.to_string());
            Err(AttachError::OtherRegion { disk, disk_region, node, node_region })
        }
        Resolved::None => Err(AttachError::NoNode(node.to_string())),
        Resolved::Several(machines) => {
            let (node, machines) = (node.to_string(), machines.join(" and "));
            Err(AttachError::AmbiguousNode { node, machines })
        }
    }
}

/// The answer for a disk that is on the machine. The cloud attaches no disk read-only: the node mounts it so, and this alone remembers it.
fn published(
    driver: &Driver,
    machine: &Machine,
    id: &DiskId,
    disk: &Disk,
    readonly: bool,
) -> Result<PublishContext, AttachError> {
    let published = driver.publish_modes.publish(disk, &machine.instance, readonly);
    if published != readonly {
        return Err(AttachError::OtherReadonly { disk: id.to_string(), published });
    }
    Ok(PublishContext { readonly, ..PublishContext::new(id.clone(), disk.size_bytes()) })
}

fn decide(disk: &Disk, instance: &str) -> Result<AttachStep, AttachError> {
    match disk.disk_status.group() {
        Group::Settled => Ok(AttachStep::Attach),
        Group::Busy => Ok(AttachStep::Wait),
        Group::Attached if disk.holders() == [instance] => Ok(AttachStep::Done),
        Group::Attached if disk.holders().is_empty() => Ok(AttachStep::Identify),
        Group::Attached => Ok(AttachStep::Refuse),
        Group::Dead => {
            let (disk, state) = (disk.disk_id.clone(), disk.disk_status.as_str().to_owned());
            Err(AttachError::Dead { disk, state })
        }
    }
}

/// Sends the attach and waits for its end; gives the disk as it is then, and whether the cloud took the attach. `again`: whether a refusal
/// may be met by another look.
async fn act(
    driver: &Driver,
    machine: &Machine,
    node: &NodeId,
    disk: Disk,
    doubt: Doubt,
    again: bool,
    deadline: Instant,
) -> Result<(Disk, bool), AttachError> {
    let body = AttachDisk {
        region_id: machine.region.to_string(),
        disk_id: disk.disk_id.clone(),
        instance_id: Some(machine.instance.clone()),
    };
    let job = match driver.client.attach_disk(&body).await {
        Ok(reply) => Handle::job(reply),
        // The disk is not as it was when we looked: look again and decide anew.
        Err(ecx::Error::DiskState(_) | ecx::Error::AttachedElsewhere(_)) if again => {
            return Ok((read(driver, machine, &disk).await?, false));
        }
        Err(ecx::Error::InstanceNotFound(_)) => {
            driver.nodes.forget(&machine.instance);
            return Err(AttachError::NoNode(node.to_string()));
        }
        Err(source) if source.outcome_unknown() => {
            let now = read(driver, machine, &disk).await?;
            // Still free: it did not happen, or has not begun. Sending again is for the retry, which reads first.
            let free = now.disk_status.group() == Group::Settled;
            return if free {
                Err(AttachError::Cloud { disk: disk.disk_id, source })
            } else {
                Ok((now, false))
            };
        }
        Err(source) => return Err(AttachError::Cloud { disk: disk.disk_id, source }),
    };
    match arrived(driver, machine, &disk.disk_id, &job, doubt, deadline).await? {
        Ended::Shown(now) | Ended::NotShown(now) => {
            now.into_iter().next().map(|now| (now, true)).ok_or(AttachError::NoVolume(disk.disk_id))
        }
        Ended::Failed => Err(AttachError::JobFailed { disk: disk.disk_id }),
    }
}

/// Waits for the end of an attach that the cloud took. That the disk is there may be a list's word: the node looks for its serial. In doubt
/// the disk says it, and where that may be of an earlier time too, the attach itself is said to be done, or that time passes.
async fn arrived(
    driver: &Driver,
    machine: &Machine,
    id: &str,
    job: &Handle,
    doubt: Doubt,
    deadline: Instant,
) -> Result<Ended<Vec<Disk>>, AttachError> {
    let over = |disks: &[Disk]| {
        let over = |disk: &Disk| matches!(disk.disk_status.group(), Group::Attached | Group::Dead);
        disks.first().is_none_or(over)
    };
    let wait = |source| AttachError::Wait { disk: id.to_owned(), source };
    let (region, query) = (&machine.region, Query::Id(id.to_owned()));
    let ended = driver.ended_of(region, &query, job, deadline, over).await.map_err(wait)?;
    let of_now = Instant::now() + driver.reader.lag();
    match (&ended, doubt) {
        (Ended::Failed | Ended::NotShown(_), _) | (_, Doubt::None) => return Ok(ended),
        (Ended::Shown(_), Doubt::Reads) if driver.said_done(region, job, of_now).await => return Ok(ended),
        (Ended::Shown(_), Doubt::Reads) => tokio::time::sleep_until(of_now).await,
        (Ended::Shown(_), Doubt::Lists) => {}
    }
    driver.ended_of(region, &Query::Proven(id.to_owned()), job, deadline, over).await.map_err(wait)
}

/// The disk as it is now, by its own word.
async fn read(driver: &Driver, machine: &Machine, disk: &Disk) -> Result<Disk, AttachError> {
    let now = driver.reader.proven(&machine.region, &disk.disk_id).await;
    let now = now.map_err(|source| AttachError::Cloud { disk: disk.disk_id.clone(), source })?;
    now.ok_or_else(|| AttachError::NoVolume(disk.disk_id.clone()))
}

/// The disk when nothing goes on with it any more.
async fn settled(
    driver: &Driver,
    machine: &Machine,
    disk: &Disk,
    deadline: Instant,
) -> Result<Disk, AttachError> {
    let waited = driver.reader.settled_until(deadline, &machine.region, &disk.disk_id).await;
    let now = waited.map_err(|source| AttachError::Wait { disk: disk.disk_id.clone(), source })?;
    now.ok_or_else(|| AttachError::NoVolume(disk.disk_id.clone()))
}

#[cfg(test)]
mod tests;
