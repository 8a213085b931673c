//! Snapshots: of the cloud's list what is one of ours to name, and how CSI tells it.
//!
//! The cloud's list can be asked by id and, loosely, by name; there is no call for one snapshot.

use std::time::Duration;

pub(crate) use eck_csi::snapshot_id::SnapshotId;
use eck_csi::volume::Region;
use ecx::api::{ListSnapshots, Snapshot};
use ecx::error::ApiMessage;
use futures::future::join_all;
use tokio::time::Instant;

use crate::disk_reader::{Verdict, WaitError};
use crate::driver::Driver;

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod group;
pub(crate) mod list;

/// Snapshots of one page (ECX-API B.8: at most 1000).
const PAGE: u32 = 1000;

/// More pages no region has: a list without an end ends here.
const MAX_PAGES: u32 = 1000;

/// A region that need not answer is waited for so long.
const SOON: Duration = Duration::from_secs(3);

/// The state of a snapshot from which a disk can be made (ECX-API B.3, op 12).
const AVAILABLE: &str = "available";
/// The state of one that is on its way out.
const DELETING: &str = "deleting";
/// States out of which no snapshot comes by itself: the disk's dead states, which are the only ones that are known.
const DEAD: [&str; 3] = ["error", "expired", "freezing"];

/// The snapshots of a region that fit the query, all pages of them.
pub(crate) async fn all(
    driver: &Driver,
    region: &Region,
    query: &ListSnapshots,
) -> Result<Vec<Snapshot>, ecx::Error> {
    let mut query =
        ListSnapshots { region_id: region.to_string(), max_results: PAGE, next_token: None, ..query.clone() };
    let (mut found, mut unreadable) = (Vec::new(), 0);
    for _ in 0..MAX_PAGES {
        let page = driver.client.list_snapshots(&query).await?;
        found.extend(page.snapshot_list);
        unreadable += page.unreadable.len();
        match page.next_token.filter(|token| !token.is_empty()) {
            // The same page again and again.
            Some(token) if query.next_token.as_ref() == Some(&token) => break,
            Some(token) => query.next_token = Some(token),
            None if page.snapshot_total.is_some_and(|total| total > (found.len() + unreadable) as u64) => {
                break;
            }
            None => return Ok(found),
        }
    }
    let message =
        format!("the list of snapshots of {region} shows {} and says that there are more", found.len());
    Err(ecx::Error::Unreadable(ApiMessage { code: "list".to_owned(), message, ..ApiMessage::default() }))
}

/// Snapshots of this very name in other regions than the disk's, as far as they answer soon: there the name can only be another disk's.
pub(crate) async fn elsewhere(driver: &Driver, own: &Region, name: &str) -> Vec<(Region, Snapshot)> {
    let mut others = driver.regions.all();
    others.retain(|region| region != own);
    let look = |region| tokio::time::timeout(SOON, named(driver, std::slice::from_ref(region), name));
    let found = join_all(others.iter().map(look)).await;
    found.into_iter().filter_map(|answer| answer.ok()?.ok()).flatten().collect()
}

/// The snapshots that fit the query in the regions.
pub(crate) async fn among(
    driver: &Driver,
    regions: &[Region],
    query: &ListSnapshots,
) -> Result<Vec<(Region, Snapshot)>, ecx::Error> {
    let mut found = Vec::new();
    for region in regions {
        let here = all(driver, region, query).await?.into_iter();
        found.extend(here.map(|snapshot| (region.clone(), snapshot)));
    }
    Ok(found)
}

/// The snapshots of this very name in the regions: the cloud's filter is fuzzy.
pub(crate) async fn named(
    driver: &Driver,
    regions: &[Region],
    name: &str,
) -> Result<Vec<(Region, Snapshot)>, ecx::Error> {
    let query = ListSnapshots { snapshot_name: Some(name.to_owned()), ..ListSnapshots::default() };
    let mut found = among(driver, regions, &query).await?;
    found.retain(|(_, snapshot)| snapshot.snapshot_name == name);
    Ok(found)
}

/// The snapshot with this handle, which names its region: that one is asked, also if the cluster's regions are others by now. Of a
/// region that was taken out of them nothing is gone (finding A2).
pub(crate) async fn one(driver: &Driver, id: &SnapshotId) -> Result<Option<(Region, Snapshot)>, ecx::Error> {
    let Some((region, cloud_id)) = id.known() else { return Ok(None) };
    let query = ListSnapshots { snapshot_id: Some(cloud_id.to_owned()), ..ListSnapshots::default() };
    let found = match all(driver, &region, &query).await {
        // No region of the cloud: a handle that nobody was ever given.
        Err(ecx::Error::Parameter(_)) if driver.regions.need_not_answer(&region, None).await => {
            return Ok(None);
        }
        found => found?.into_iter().find(|s| s.snapshot_id == cloud_id),
    };
    Ok(found.map(|snapshot| (region, snapshot)))
}

/// Looks at the snapshots that fit the query, at the profile's pace, until `judge` has a verdict or its patience ends.
pub(crate) async fn wait<T>(
    driver: &Driver,
    region: &Region,
    query: &ListSnapshots,
    mut judge: impl FnMut(&[Snapshot]) -> Verdict<T>,
) -> Result<T, WaitError> {
    let poll = &driver.client.profile().poll;
    let started = Instant::now();
    let (mut pause, mut last) = (None, "nothing".to_owned());
    while started.elapsed() < poll.give_up() {
        let next = poll.next(pause);
        pause = Some(next);
        tokio::time::sleep(next).await;
        match all(driver, region, query).await {
            Ok(found) => match judge(&found) {
                Verdict::Done(verdict) => return Ok(verdict),
                Verdict::Wait(seen) => last = seen,
            },
            Err(error) if error.retryable() => last = error.to_string(),
            Err(error) => return Err(error.into()),
        }
    }
    Err(WaitError::TooLong { after: started.elapsed(), last })
}

/// Waits until a disk can be made from the snapshot; gives it as it is then, or `None` if it is gone.
pub(crate) async fn ready(
    driver: &Driver,
    region: &Region,
    seen: Snapshot,
) -> Result<Option<Snapshot>, WaitError> {
    if usable(&seen) {
        return Ok(Some(seen));
    }
    let id = seen.snapshot_id;
    let query = ListSnapshots { snapshot_id: Some(id.clone()), ..ListSnapshots::default() };
    let judge = |found: &[Snapshot]| match found.iter().find(|s| s.snapshot_id == id) {
        None => Verdict::Done(None),
        Some(s) if usable(s) || dead(s) => Verdict::Done(Some(s.clone())),
        Some(s) => Verdict::Wait(s.snapshot_status.clone()),
    };
    wait(driver, region, &query, judge).await
}

/// Whether a disk can be made from the snapshot.
pub(crate) fn usable(snapshot: &Snapshot) -> bool {
    snapshot.snapshot_status == AVAILABLE
}

/// Whether the snapshot will never become usable by itself.
pub(crate) fn dead(snapshot: &Snapshot) -> bool {
    DEAD.contains(&snapshot.snapshot_status.as_str())
}
