//! ListSnapshots and GetSnapshot.

use eck_csi::volume::{DiskId, Region};
use ecx::api::{ListSnapshots, Snapshot};
use proto::csi::v1 as pb;

use super::{SnapshotId, among, one};
use crate::driver::Driver;
use crate::error::ReadError;
use crate::{paging, response};

/// ListSnapshots.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// Entries at most; 0 for all.
    pub(crate) max: usize,
    /// Begins after this one.
    pub(crate) after: Option<(Region, String)>,
    /// Only this snapshot.
    pub(crate) snapshot: Option<SnapshotId>,
    /// Only those of this volume.
    pub(crate) volume: Option<String>,
}

/// A page of snapshots. All of the account's in the cluster's regions are listed, whoever took them: they can be restored from.
pub(crate) async fn list(driver: &Driver, q: &Page) -> Result<pb::ListSnapshotsResponse, ReadError> {
    let after = q.after.as_ref().map(|(region, id)| (region, id.as_str()));
    let (found, next_token) = paging::cut(look(driver, q).await?, |s| &s.snapshot_id, q.max, after);
    let entry = |(region, snapshot): &(Region, Snapshot)| pb::list_snapshots_response::Entry {
        snapshot: Some(response::snapshot(region, snapshot)),
    };
    Ok(pb::ListSnapshotsResponse { entries: found.iter().map(entry).collect(), next_token })
}

async fn look(driver: &Driver, q: &Page) -> Result<Vec<(Region, Snapshot)>, ecx::Error> {
    let of_volume = |s: &Snapshot| q.volume.as_ref().is_none_or(|volume| s.disk_id == *volume);
    if let Some(id) = &q.snapshot {
        return Ok(one(driver, id).await?.filter(|(_, s)| of_volume(s)).into_iter().collect());
    }
    let disk = q.volume.as_deref().map(DiskId::parse);
    // An id of another form never was a disk here, so it has no snapshots.
    if matches!(disk, Some(None)) {
        return Ok(Vec::new());
    }
    let query = ListSnapshots { disk_id: q.volume.clone(), ..ListSnapshots::default() };
    let mut found = among(driver, driver.places.all(), &query).await?;
    found.retain(|(_, snapshot)| of_volume(snapshot));
    Ok(found)
}

/// One snapshot.
pub(crate) async fn get(driver: &Driver, id: &SnapshotId) -> Result<pb::GetSnapshotResponse, ReadError> {
    let found = one(driver, id).await?;
    let (region, snapshot) = found.ok_or_else(|| ReadError::NoSnapshot(id.to_string()))?;
    Ok(pb::GetSnapshotResponse { snapshot: Some(response::snapshot(&region, &snapshot)) })
}

/// Takes the request. A token is the handle of the last snapshot of the page before.
pub(crate) fn page(q: pb::ListSnapshotsRequest) -> Result<Page, ReadError> {
    let max = paging::max(q.max_entries)?;
    let after = paging::after(&q.starting_token, "ListSnapshots", |token| {
        let handle = SnapshotId::parse("starting_token", token.to_owned()).ok()?;
        handle.known().map(|(region, id)| (region, id.to_owned()))
    })?;
    let some = |value: String| Some(value).filter(|value| !value.is_empty());
    let snapshot = some(q.snapshot_id).map(|id| SnapshotId::parse("snapshot_id", id)).transpose()?;
    Ok(Page { max, after, snapshot, volume: some(q.source_volume_id) })
}
