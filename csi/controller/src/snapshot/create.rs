//! CreateSnapshot: one snapshot of a name, however often it is asked for.
//!
//! Look: the snapshots of this name in every region. Decide: one of this disk → it; only of other disks → ALREADY_EXISTS;
//! none → take one. Act: the cloud's client token counts only for a disk's first snapshot (ECX-API §3), so the request is
//! sent once, and after an unknown outcome the list decides.

use std::sync::Arc;

use eck_csi::driver::MAX_FIELD_BYTES;
use eck_csi::field::{BadField, text};
use eck_csi::operations::{OnConflict, Operation};
use eck_csi::volume::{DiskId, Region, VolumeId};
use ecx::api::{CreateSnapshot, Group, ListSnapshots, Snapshot};
use ecx::token;
use proto::csi::v1 as pb;

use super::{dead, elsewhere, named, wait};
use crate::disk_reader::Verdict;
use crate::driver::Driver;
use crate::error::SnapshotError;
use crate::name::{disk_name, numbered, other_cluster};
use crate::parameters;
use crate::topology::regions;

/// CreateSnapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotRequest {
    /// The name in the cloud.
    pub(crate) name: String,
    /// Of which volume.
    pub(crate) volume: VolumeId,
    /// Regions in which a volume must be possible to make from it; empty for anywhere.
    pub(crate) requisite: Vec<Region>,
}

impl TryFrom<pb::CreateSnapshotRequest> for SnapshotRequest {
    type Error = BadField;

    fn try_from(request: pb::CreateSnapshotRequest) -> Result<Self, BadField> {
        if request.source_volume_id.is_empty() {
            return Err(BadField::missing("source_volume_id"));
        }
        let name = text("name", request.name, MAX_FIELD_BYTES)?;
        parameters::none(&request.parameters)?;
        let topology = request.accessibility_requirements.unwrap_or_default();
        let requisite = regions("accessibility_requirements.requisite", &topology.requisite)?;
        Ok(Self { name: disk_name(&name), volume: VolumeId::parse(request.source_volume_id)?, requisite })
    }
}

impl Operation<Driver> for SnapshotRequest {
    type Output = (Region, Snapshot);
    type Error = SnapshotError;
    const NAME: &'static str = "CreateSnapshot";
    const KEY_IS: &'static str = "csi.key";

    fn key(&self) -> String {
        format!("snapshot {}", self.name)
    }

    fn on_conflict(_: bool) -> OnConflict {
        // The same name with other arguments is the caller's contradiction.
        OnConflict::Abort
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver>) -> Result<Self::Output, SnapshotError> {
        create(&driver, &self).await
    }
}

/// A snapshot that the cloud refuses although the disk is at rest is asked for so often.
const ATTEMPTS: u32 = 3;

/// The snapshot, as soon as the cloud lists it: its content is the disk's at that moment.
pub(crate) async fn create(
    driver: &Driver,
    request: &SnapshotRequest,
) -> Result<(Region, Snapshot), SnapshotError> {
    let no_volume = || SnapshotError::NoVolume(request.volume.to_string());
    let disk = request.volume.disk().ok_or_else(no_volume)?;
    let cloud = |source| SnapshotError::Cloud { name: request.name.clone(), source };
    let located = driver.disk_locator.locate(&driver.reader, &disk).await.map_err(|error| error.or(cloud))?;
    // Also of a snapshot that is there: what it holds is the other cluster's.
    if let Some(other) = located.as_ref().and_then(|(_, found)| other_cluster(found, &driver.cluster)) {
        return Err(SnapshotError::OtherCluster { disk: disk.to_string(), other });
    }
    let region = located.map(|(region, _)| region);
    // A disk's snapshots are in its region: the others cannot stop it.
    let own = match &region {
        Some(region) => vec![region.clone()],
        None => driver.regions.all_known().await,
    };
    let mut found = named(driver, &own, &request.name).await.map_err(cloud)?;
    if let (Some(region), true) = (&region, found.is_empty()) {
        found = elsewhere(driver, region, &request.name).await;
    }
    if let Some(one) = decide(request, &disk, found)? {
        return Ok(one);
    }
    let region = region.ok_or_else(no_volume)?;
    if !request.requisite.is_empty() && !request.requisite.contains(&region) {
        return Err(SnapshotError::OtherRegion { disk: disk.to_string(), region: region.to_string() });
    }
    let snapshot = take(driver, request, &disk, &region).await?;
    Ok((region, snapshot))
}

/// The snapshot of this name and disk. Of several the oldest: so every retry has the same answer.
fn decide(
    request: &SnapshotRequest,
    disk: &DiskId,
    found: Vec<(Region, Snapshot)>,
) -> Result<Option<(Region, Snapshot)>, SnapshotError> {
    let ours = found.iter().filter(|(_, snapshot)| snapshot.disk_id == disk.as_str());
    let (region, snapshot) = match (ours.min_by_key(|(_, snapshot)| age(snapshot)), found.first()) {
        (Some(oldest), _) => oldest.clone(),
        (None, None) => return Ok(None),
        (None, Some((_, other))) => {
            let (name, volume) = (request.name.clone(), other.disk_id.clone());
            return Err(SnapshotError::OtherVolume { name, volume });
        }
    };
    if dead(&snapshot) {
        let (snapshot, state) = (snapshot.snapshot_id, snapshot.snapshot_status);
        return Err(SnapshotError::Dead { snapshot, state });
    }
    Ok(Some((region, snapshot)))
}

/// What the oldest has least of.
fn age(snapshot: &Snapshot) -> (&str, &str) {
    (&snapshot.create_time, &snapshot.snapshot_id)
}

/// What the order of a snapshot of this name is to do, for the table of order attempts.
pub(crate) fn purpose(name: &str) -> String {
    format!("snapshot {name}")
}

/// Takes the snapshot when nothing goes on with the disk, and waits until it is listed.
async fn take(
    driver: &Driver,
    request: &SnapshotRequest,
    disk: &DiskId,
    region: &Region,
) -> Result<Snapshot, SnapshotError> {
    let purpose = purpose(&request.name);
    let number = driver.order_attempts.next(&purpose);
    for attempt in 1..=ATTEMPTS {
        at_rest(driver, request, disk, region).await?;
        let body = CreateSnapshot {
            client_token: token::snapshot(&driver.cluster.id, &numbered(&request.name, number)),
            region_id: region.to_string(),
            disk_id: disk.to_string(),
            snapshot_name: request.name.clone(),
            retention_policy: "forever".to_owned(),
        };
        match driver.client.create_snapshot(&body).await {
            Ok(_) | Err(ecx::Error::InProgress(_)) => break,
            // The disk is not as it was when we looked.
            Err(ecx::Error::DiskState(_)) if attempt < ATTEMPTS => {}
            Err(source) => {
                driver.order_attempts.refused(&purpose, number, &source);
                let cloud = |source| SnapshotError::Cloud { name: request.name.clone(), source };
                // If it is there it is there; else asking again is for the retry, which looks first.
                let known = source.outcome_unknown();
                let now =
                    if known { listed(driver, request, disk, region).await.map_err(cloud)? } else { None };
                return now.ok_or_else(|| cloud(source));
            }
        }
    }
    let query = ListSnapshots { snapshot_name: Some(request.name.clone()), ..ListSnapshots::default() };
    let judge = |found: &[Snapshot]| match ours(found.iter(), request, disk) {
        Some(snapshot) => Verdict::Done(snapshot),
        None => Verdict::Wait("the request, no snapshot yet".to_owned()),
    };
    if let Ok(Some(snapshot)) = listed(driver, request, disk, region).await {
        return Ok(snapshot);
    }
    let waited = wait(driver, region, &query, judge).await;
    waited.map_err(|source| {
        // An order of an earlier life, whose snapshot is gone: the next attempt needs a token of its own.
        driver.order_attempts.failed(&purpose, number);
        SnapshotError::Wait { name: request.name.clone(), source }
    })
}

async fn listed(
    driver: &Driver,
    request: &SnapshotRequest,
    disk: &DiskId,
    region: &Region,
) -> Result<Option<Snapshot>, ecx::Error> {
    let found = named(driver, std::slice::from_ref(region), &request.name).await?;
    Ok(ours(found.iter().map(|(_, snapshot)| snapshot), request, disk))
}

fn ours<'a>(
    found: impl Iterator<Item = &'a Snapshot>,
    request: &SnapshotRequest,
    disk: &DiskId,
) -> Option<Snapshot> {
    let fits = |s: &&Snapshot| s.snapshot_name == request.name && s.disk_id == disk.as_str();
    found.filter(fits).min_by_key(|s| age(s)).cloned()
}

/// Waits until nothing goes on with the disk: only then the cloud takes a snapshot.
async fn at_rest(
    driver: &Driver,
    request: &SnapshotRequest,
    disk: &DiskId,
    region: &Region,
) -> Result<(), SnapshotError> {
    let waited = driver.reader.settled(region, disk.as_str()).await;
    let now = waited.map_err(|source| SnapshotError::Wait { name: request.name.clone(), source })?;
    let now = now.ok_or_else(|| SnapshotError::NoVolume(disk.to_string()))?;
    match now.disk_status.group() {
        Group::Dead => {
            let (disk, state) = (disk.to_string(), now.disk_status.as_str().to_owned());
            Err(SnapshotError::DeadDisk { disk, state })
        }
        Group::Settled | Group::Attached | Group::Busy => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask() -> (SnapshotRequest, DiskId) {
        let volume = VolumeId::parse("cd-1".into()).unwrap();
        let disk = volume.disk().unwrap();
        (SnapshotRequest { name: "snapshot-1".into(), volume, requisite: vec![] }, disk)
    }

    fn found(id: &str, disk: &str, time: &str) -> (Region, Snapshot) {
        let snapshot = Snapshot {
            snapshot_id: id.into(),
            disk_id: disk.into(),
            create_time: time.into(),
            snapshot_status: "available".into(),
            ..Snapshot::default()
        };
        (Region::parse("region", "a-1").unwrap(), snapshot)
    }

    #[test]
    fn a_name_belongs_to_the_disk_that_has_it() {
        let (request, disk) = ask();
        assert_eq!(decide(&request, &disk, vec![]).unwrap(), None);
        let other = decide(&request, &disk, vec![found("cs-1", "cd-2", "2026-01-01T00:00:00Z")]);
        assert!(matches!(other, Err(SnapshotError::OtherVolume { volume, .. }) if volume == "cd-2"));
    }

    #[test]
    fn of_several_the_oldest_is_the_answer_each_time() {
        let (request, disk) = ask();
        let late = found("cs-1", "cd-1", "2026-01-02T00:00:00Z");
        let first = found("cs-2", "cd-1", "2026-01-01T00:00:00Z");
        let other = found("cs-0", "cd-2", "2025-01-01T00:00:00Z");
        for order in [vec![late.clone(), first.clone(), other.clone()], vec![other, first.clone(), late]] {
            assert_eq!(decide(&request, &disk, order).unwrap(), Some(first.clone()));
        }
    }

    #[test]
    fn a_snapshot_that_cannot_be_used_is_no_success() {
        let (request, disk) = ask();
        let (region, mut broken) = found("cs-1", "cd-1", "");
        broken.snapshot_status = "error".into();
        assert!(matches!(decide(&request, &disk, vec![(region, broken)]), Err(SnapshotError::Dead { .. })));
    }
}
