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
struct Page {
    /// Entries at most; 0 for all.
    max: usize,
    /// Begins after this one. A token is the handle of the last snapshot of the page before.
    after: Option<(Region, String)>,
    /// Only this snapshot.
    snapshot: Option<SnapshotId>,
    /// Only those of this volume.
    volume: Option<String>,
}

impl TryFrom<pb::ListSnapshotsRequest> for Page {
    type Error = ReadError;

    fn try_from(request: pb::ListSnapshotsRequest) -> Result<Self, ReadError> {
        let max = paging::max(request.max_entries)?;
        let after = paging::after(&request.starting_token, "ListSnapshots", |token| {
            let handle = SnapshotId::parse("starting_token", token.to_owned()).ok()?;
            handle.known().map(|(region, id)| (region, id.to_owned()))
        })?;
        let some = |value: String| Some(value).filter(|value| !value.is_empty());
        let snapshot =
            some(request.snapshot_id).map(|id| SnapshotId::parse("snapshot_id", id)).transpose()?;
        Ok(Self { max, after, snapshot, volume: some(request.source_volume_id) })
    }
}

/// A page of snapshots. All of the account's in the cluster's regions are listed, whoever took them: they can be restored from.
pub(crate) async fn list(
    driver: &Driver,
    request: pb::ListSnapshotsRequest,
) -> Result<pb::ListSnapshotsResponse, ReadError> {
    let page = Page::try_from(request)?;
    let after = page.after.as_ref().map(|(region, id)| (region, id.as_str()));
    let (found, next_token) =
        paging::cut(matching(driver, &page).await?, |s| &s.snapshot_id, page.max, after);
    let entry = |(region, snapshot): &(Region, Snapshot)| pb::list_snapshots_response::Entry {
        snapshot: Some(response::snapshot(region, snapshot)),
    };
    Ok(pb::ListSnapshotsResponse { entries: found.iter().map(entry).collect(), next_token })
}

/// All that the page is cut from.
async fn matching(driver: &Driver, page: &Page) -> Result<Vec<(Region, Snapshot)>, ecx::Error> {
    let of_volume = |s: &Snapshot| page.volume.as_ref().is_none_or(|volume| s.disk_id == *volume);
    if let Some(id) = &page.snapshot {
        return Ok(one(driver, id).await?.filter(|(_, s)| of_volume(s)).into_iter().collect());
    }
    let disk = page.volume.as_deref().map(DiskId::parse);
    // An id of another form never was a disk here, so it has no snapshots.
    if matches!(disk, Some(None)) {
        return Ok(Vec::new());
    }
    let query = ListSnapshots { disk_id: page.volume.clone(), ..ListSnapshots::default() };
    let mut found = among(driver, &driver.regions.all_known().await, &query).await?;
    found.retain(|(_, snapshot)| of_volume(snapshot));
    Ok(found)
}

/// One snapshot.
pub(crate) async fn get(
    driver: &Driver,
    request: pb::GetSnapshotRequest,
) -> Result<pb::GetSnapshotResponse, ReadError> {
    let id = SnapshotId::parse("snapshot_id", request.snapshot_id)?;
    let found = one(driver, &id).await?;
    let (region, snapshot) = found.ok_or_else(|| ReadError::NoSnapshot(id.to_string()))?;
    Ok(pb::GetSnapshotResponse { snapshot: Some(response::snapshot(&region, &snapshot)) })
}
