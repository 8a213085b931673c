//! ListSnapshots and GetSnapshot.

use eck_csi::field::BadField;
use eck_csi::volume::{DiskId, Region};
use ecx::api::{ListSnapshots, Snapshot};
use proto::csi::v1 as pb;

use super::{SnapshotId, all, one};
use crate::driver::Driver;
use crate::error::ReadError;
use crate::response;

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

/// A page of snapshots, sorted by region and id: a page that begins after one that is gone still begins at the right
/// place. All of the account's in the cluster's regions are listed, whoever took them: they can be restored from.
pub(crate) async fn list(driver: &Driver, q: &Page) -> Result<pb::ListSnapshotsResponse, ReadError> {
    let mut found = look(driver, q).await?;
    found.sort_by(|(ra, a), (rb, b)| (ra, &a.snapshot_id).cmp(&(rb, &b.snapshot_id)));
    if let Some((region, id)) = &q.after {
        found.retain(|(r, s)| (r.as_str(), s.snapshot_id.as_str()) > (region.as_str(), id.as_str()));
    }
    let more = q.max != 0 && found.len() > q.max;
    if more {
        found.truncate(q.max);
    }
    let last = found.last().filter(|_| more);
    let next_token = last.map(|(region, s)| SnapshotId::new(region, &s.snapshot_id).to_string());
    let entry = |(region, snapshot): &(Region, Snapshot)| pb::list_snapshots_response::Entry {
        snapshot: Some(response::snapshot(region, snapshot)),
    };
    let entries = found.iter().map(entry).collect();
    Ok(pb::ListSnapshotsResponse { entries, next_token: next_token.unwrap_or_default() })
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
    let mut found = Vec::new();
    for region in driver.places.all() {
        let here = all(driver, region, &query).await?.into_iter().filter(of_volume);
        found.extend(here.map(|snapshot| (region.clone(), snapshot)));
    }
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
    let max = usize::try_from(q.max_entries)
        .map_err(|_| BadField::new("max_entries", q.max_entries, "0 (all) or a positive number"))?;
    let some = |value: String| Some(value).filter(|value| !value.is_empty());
    let after = some(q.starting_token).map(|token| {
        let parsed = SnapshotId::parse("starting_token", token.clone()).ok();
        let known = parsed.as_ref().and_then(SnapshotId::known).map(|(region, id)| (region, id.to_owned()));
        let allowed = "empty, or a next_token of an earlier ListSnapshots";
        known.ok_or_else(|| ReadError::Token(BadField::new("starting_token", token, allowed)))
    });
    let snapshot = some(q.snapshot_id).map(|id| SnapshotId::parse("snapshot_id", id)).transpose()?;
    Ok(Page { max, after: after.transpose()?, snapshot, volume: some(q.source_volume_id) })
}
