//! Volume group snapshots, as far as they can be honest: the cloud takes a snapshot of one disk at a time, so those of a
//! group are of one moment only if nothing writes in between. That is so while no disk of the group is attached, and the
//! caller holds the place of every volume, so that none is attached meanwhile.
//!
//! The cloud knows no groups: a member's name carries the group's id.

use std::collections::BTreeSet;
use std::sync::Arc;

use eck_csi::driver::MAX_FIELD_BYTES;
use eck_csi::field::{BadField, text};
use eck_csi::operations::{OnConflict, Operation};
use eck_csi::volume::{DiskId, Region, VolumeId};
use ecx::api::{Group, ListSnapshots, Snapshot};
use proto::csi::v1 as pb;

use super::create::{SnapshotRequest, create};
use super::delete::remove;
use super::{SnapshotId, among};
use crate::driver::Driver;
use crate::error::GroupError;
use crate::name::{group_id, group_of_member, member_name};
use crate::{parameters, response};

/// CreateVolumeGroupSnapshot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GroupRequest {
    /// The group's id, made from its name.
    pub(crate) id: String,
    /// Its disks, each once, in order.
    pub(crate) disks: Vec<DiskId>,
}

impl TryFrom<pb::CreateVolumeGroupSnapshotRequest> for GroupRequest {
    type Error = GroupError;

    fn try_from(request: pb::CreateVolumeGroupSnapshotRequest) -> Result<Self, GroupError> {
        let name = text("name", request.name, MAX_FIELD_BYTES)?;
        parameters::none(&request.parameters)?;
        if request.source_volume_ids.is_empty() {
            return Err(BadField::missing("source_volume_ids").into());
        }
        let mut disks = BTreeSet::new();
        for id in request.source_volume_ids {
            let volume = VolumeId::parse(id)?;
            let disk = volume.disk().ok_or_else(|| GroupError::NoVolume(volume.to_string()))?;
            if !disks.insert(disk) {
                return Err(BadField::new("source_volume_ids", volume, "each volume once").into());
            }
        }
        Ok(Self { id: group_id(&name), disks: disks.into_iter().collect() })
    }
}

impl Operation<Driver> for GroupRequest {
    type Output = GroupSnapshot;
    type Error = GroupError;
    const NAME: &'static str = "CreateVolumeGroupSnapshot";
    const KEY_IS: &'static str = "csi.key";

    fn key(&self) -> String {
        group_key(&self.id)
    }

    /// Those of the volumes: nothing may be attached while the snapshots are taken. Sorted, so that two groups never wait for
    /// each other.
    fn more_keys(&self) -> Vec<String> {
        self.disks.iter().map(DiskId::to_string).collect()
    }

    fn on_conflict(_: bool) -> OnConflict {
        // The group wants the disks at rest.
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver>) -> Result<GroupSnapshot, GroupError> {
        take(&driver, &self).await
    }
}

/// DeleteVolumeGroupSnapshot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DeleteGroupRequest {
    id: String,
    /// Handles of its members, as the CO knows them.
    members: Vec<String>,
}

impl TryFrom<pb::DeleteVolumeGroupSnapshotRequest> for DeleteGroupRequest {
    type Error = BadField;

    fn try_from(request: pb::DeleteVolumeGroupSnapshotRequest) -> Result<Self, BadField> {
        let id = text("group_snapshot_id", request.group_snapshot_id, MAX_FIELD_BYTES)?;
        Ok(Self { id, members: request.snapshot_ids })
    }
}

impl Operation<Driver> for DeleteGroupRequest {
    type Output = ();
    type Error = GroupError;
    const NAME: &'static str = "DeleteVolumeGroupSnapshot";
    const KEY_IS: &'static str = "csi.key";

    fn key(&self) -> String {
        group_key(&self.id)
    }

    fn on_conflict(_: bool) -> OnConflict {
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver>) -> Result<(), GroupError> {
        delete(&driver, &self.id, &self.members).await
    }
}

fn group_key(id: &str) -> String {
    format!("group {id}")
}

/// A group and its snapshots.
#[derive(Debug, Clone)]
pub(crate) struct GroupSnapshot {
    pub(crate) id: String,
    pub(crate) members: Vec<(Region, Snapshot)>,
}

/// As CSI tells it: taken when its last member was.
impl From<GroupSnapshot> for pb::VolumeGroupSnapshot {
    fn from(taken: GroupSnapshot) -> Self {
        let snapshots: Vec<_> =
            taken.members.iter().map(|(region, s)| response::snapshot(region, s)).collect();
        Self {
            group_snapshot_id: taken.id,
            creation_time: snapshots.iter().filter_map(|s| s.creation_time).max_by_key(|t| t.seconds),
            ready_to_use: snapshots.iter().all(|s| s.ready_to_use),
            snapshots,
        }
    }
}

/// What to do about the members that are there.
#[derive(Debug, PartialEq, Eq)]
enum GroupStep {
    /// They are the group.
    Use,
    /// They are what an earlier attempt left, none or some: nobody knows what was written since.
    TakeAll,
}

/// Takes the group's snapshots; the keys of its volumes are held.
async fn take(driver: &Driver, request: &GroupRequest) -> Result<GroupSnapshot, GroupError> {
    let found = members(driver, &request.id).await?;
    if decide(request, &found)? == GroupStep::Use {
        return Ok(GroupSnapshot { id: request.id.clone(), members: found });
    }
    unattached(driver, request).await?;
    drop_all(driver, &found).await?;
    let mut taken = Vec::new();
    let ended = take_each(driver, request, &mut taken).await;
    // Nothing of a group that is not whole stays, if that can be helped; the next attempt begins with the same.
    if let Err(error) = ended {
        if let Err(left) = drop_all(driver, &taken).await {
            tracing::warn!(group = request.id, error = %left, "Snapshots of a group that is not whole are left");
        }
        return Err(error);
    }
    Ok(GroupSnapshot { id: request.id.clone(), members: taken })
}

async fn take_each(
    driver: &Driver,
    request: &GroupRequest,
    taken: &mut Vec<(Region, Snapshot)>,
) -> Result<(), GroupError> {
    for disk in &request.disks {
        let volume = VolumeId::parse(disk.to_string())?;
        let member = SnapshotRequest { name: member_name(&request.id, disk), volume, requisite: Vec::new() };
        taken.push(create(driver, &member).await?);
    }
    // From outside of the cluster a disk can be attached all the same.
    unattached(driver, request).await
}

fn decide(request: &GroupRequest, found: &[(Region, Snapshot)]) -> Result<GroupStep, GroupError> {
    let wanted: BTreeSet<&str> = request.disks.iter().map(DiskId::as_str).collect();
    let there: BTreeSet<&str> = found.iter().map(|(_, s)| s.disk_id.as_str()).collect();
    if let Some(other) = there.difference(&wanted).next() {
        return Err(GroupError::OtherVolumes { group: request.id.clone(), volume: (*other).to_owned() });
    }
    let whole = there == wanted && found.len() == wanted.len() && !found.iter().any(|(_, s)| super::dead(s));
    Ok(if whole { GroupStep::Use } else { GroupStep::TakeAll })
}

/// Whether every disk is there and on no machine.
async fn unattached(driver: &Driver, request: &GroupRequest) -> Result<(), GroupError> {
    for id in &request.disks {
        let located = driver.disk_locator.locate(&driver.reader, id).await;
        let located = located.map_err(|error| error.or(GroupError::Cloud))?;
        let (_, disk) = located.ok_or_else(|| GroupError::NoVolume(id.to_string()))?;
        let free = disk.disk_status.group() == Group::Settled && disk.holders().is_empty();
        if !free {
            let state = disk.disk_status.as_str().to_owned();
            return Err(GroupError::Attached { disk: id.to_string(), state });
        }
    }
    Ok(())
}

async fn drop_all(driver: &Driver, members: &[(Region, Snapshot)]) -> Result<(), GroupError> {
    for (region, snapshot) in members {
        remove(driver, region, snapshot).await?;
    }
    Ok(())
}

/// The snapshots of the group, in the order of their handles.
async fn members(driver: &Driver, id: &str) -> Result<Vec<(Region, Snapshot)>, ecx::Error> {
    let query = ListSnapshots { snapshot_name: Some(format!("g-{id}-")), ..ListSnapshots::default() };
    let mut found = among(driver, &driver.regions.all_known().await, &query).await?;
    found.retain(|(_, snapshot)| group_of_member(&snapshot.snapshot_name).as_deref() == Some(id));
    found.sort_by(|(ra, a), (rb, b)| (ra, &a.snapshot_id).cmp(&(rb, &b.snapshot_id)));
    Ok(found)
}

/// GetVolumeGroupSnapshot.
pub(crate) async fn get(
    driver: &Driver,
    request: pb::GetVolumeGroupSnapshotRequest,
) -> Result<pb::GetVolumeGroupSnapshotResponse, GroupError> {
    let id = text("group_snapshot_id", request.group_snapshot_id, MAX_FIELD_BYTES)?;
    let found = members(driver, &id).await?;
    if found.is_empty() {
        return Err(GroupError::NoGroup(id));
    }
    only(&found, &request.snapshot_ids)?;
    let group_snapshot = Some(GroupSnapshot { id, members: found }.into());
    Ok(pb::GetVolumeGroupSnapshotResponse { group_snapshot })
}

/// DeleteVolumeGroupSnapshot: gone is success.
async fn delete(driver: &Driver, id: &str, ids: &[String]) -> Result<(), GroupError> {
    let found = members(driver, id).await?;
    if !found.is_empty() {
        only(&found, ids)?;
    }
    drop_all(driver, &found).await
}

/// Refuses an id that is none of the group's.
fn only(found: &[(Region, Snapshot)], ids: &[String]) -> Result<(), BadField> {
    let known: Vec<String> =
        found.iter().map(|(region, s)| SnapshotId::new(region, &s.snapshot_id).to_string()).collect();
    match ids.iter().find(|id| !known.contains(id)) {
        Some(other) => {
            Err(BadField::new("snapshot_ids", other, format!("those of the group: {}", known.join(", "))))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disks(ids: &[&str]) -> Vec<DiskId> {
        ids.iter().map(|id| DiskId::parse(id).unwrap()).collect()
    }

    fn member(disk: &str) -> (Region, Snapshot) {
        let snapshot = Snapshot { disk_id: disk.into(), ..Snapshot::default() };
        (Region::parse("region", "a-1").unwrap(), snapshot)
    }

    #[test]
    fn a_members_name_tells_its_group_and_no_other_name_does() {
        let id = group_id("groupsnapshot-1");
        let name = member_name(&id, &DiskId::parse("cd-1").unwrap());
        assert!((2..=63).contains(&name.len()), "{name}");
        assert_eq!(group_of_member(&name), Some(id));
        for other in ["snapshot-1", "g-1-2", "g-", &name[..50], &format!("x{name}")] {
            assert_eq!(group_of_member(other), None, "{other}");
        }
    }

    #[test]
    fn only_a_whole_group_is_taken_as_it_is() {
        let request = GroupRequest { id: "1".into(), disks: disks(&["cd-1", "cd-2"]) };
        assert_eq!(decide(&request, &[]).unwrap(), GroupStep::TakeAll);
        assert_eq!(decide(&request, &[member("cd-1")]).unwrap(), GroupStep::TakeAll);
        assert_eq!(decide(&request, &[member("cd-1"), member("cd-2")]).unwrap(), GroupStep::Use);
        assert_eq!(
            decide(&request, &[member("cd-1"), member("cd-2"), member("cd-2")]).unwrap(),
            GroupStep::TakeAll
        );
        let other = decide(&request, &[member("cd-1"), member("cd-3")]);
        assert!(matches!(other, Err(GroupError::OtherVolumes { volume, .. }) if volume == "cd-3"));
    }
}
