//! A snapshot of the trial's disk is taken and deleted, whatever came before: a disk that has one is not refunded.

use ecx::api::{CreateSnapshot, DeleteSnapshot, ListSnapshots, Snapshot};
use ecx::{Error, token};
use tokio::time::{Instant, sleep};

use super::super::ask::{Ask, MOST};
use super::super::line::{Line, brief};
use super::terms::{AGAIN, LONGEST, PAUSE, WHOM};

const TAKEN: &str = "a snapshot is listed with its disk and comes to rest (op 12, op 14)";
const DROPPED: &str = "a deleted snapshot is listed no more (op 13, op 14)";

/// What a snapshot that is at rest is called.
const AT_REST: &str = "available";

/// Takes a snapshot of the disk under the trial's name and deletes it; gives what is said of it, and what is left.
pub(super) async fn there_and_back(ask: &Ask<'_>, name: &str, disk: &str) -> (Vec<Line>, Option<String>) {
    // What cannot be seen cannot be deleted again.
    if let Err(error) = of(ask, disk).await {
        return (vec![Line::unanswered(TAKEN, &error)], None);
    }
    let body = CreateSnapshot {
        client_token: token::snapshot(WHOM, name),
        region_id: ask.region.clone(),
        disk_id: disk.to_owned(),
        snapshot_name: name.to_owned(),
        retention_policy: "forever".to_owned(),
    };
    if let Err(error) = ask.client.create_snapshot(&body).await
        && !error.outcome_unknown()
    {
        return (vec![Line::unanswered(TAKEN, &error)], None);
    }
    let at_rest = |found: &[Snapshot]| found.iter().any(|one| one.snapshot_status == AT_REST);
    let (taken, found) = wait(ask, TAKEN, disk, at_rest).await;
    if found.is_empty() {
        let left = format!("the snapshot {name} of {disk} in {} is not listed and may be there", ask.region);
        return (vec![taken, Line::unknown(DROPPED, "none is listed")], Some(left));
    }
    let dropped = delete(ask, disk).await;
    let left = dropped.as_ref().err().map(|why| {
        format!("the snapshot {name} of {disk} in {} is not deleted ({why}): delete it by hand", ask.region)
    });
    let dropped = match dropped {
        Ok(seen) => Line::fits(DROPPED, seen),
        Err(why) => Line::differs(DROPPED, why),
    };
    (vec![taken, dropped], left)
}

/// The disk's snapshots. It is the trial's own, and so are they.
async fn of(ask: &Ask<'_>, disk: &str) -> Result<Vec<Snapshot>, Error> {
    let query = ListSnapshots {
        region_id: ask.region.clone(),
        disk_id: Some(disk.to_owned()),
        max_results: MOST,
        ..ListSnapshots::default()
    };
    let mut found = ask.client.list_snapshots(&query).await?.snapshot_list;
    found.retain(|one| one.disk_id == disk);
    Ok(found)
}

/// Waits until they are so; gives the last that were seen.
async fn wait(
    ask: &Ask<'_>,
    assumption: &'static str,
    disk: &str,
    so: impl Fn(&[Snapshot]) -> bool,
) -> (Line, Vec<Snapshot>) {
    let (began, mut last) = (Instant::now(), Vec::new());
    let mut said = None;
    while began.elapsed() < LONGEST {
        match of(ask, disk).await {
            Ok(found) if so(&found) => {
                let seen = format!("{} s: {}", began.elapsed().as_secs(), told(&found));
                return (Line::fits(assumption, seen), found);
            }
            Ok(found) => last = found,
            Err(error) => said = Some(error),
        }
        sleep(PAUSE).await;
    }
    let line = match said.filter(|_| last.is_empty()) {
        Some(error) => Line::unanswered(assumption, &error),
        None => Line::differs(assumption, format!("after {} s: {}", LONGEST.as_secs(), told(&last))),
    };
    (line, last)
}

fn told(snapshots: &[Snapshot]) -> String {
    if snapshots.is_empty() {
        return "none".to_owned();
    }
    let words = snapshots.iter().map(|one| format!("{} {:?}", one.snapshot_id, one.snapshot_status));
    brief(&words.collect::<Vec<_>>().join(", "))
}

/// Deletes the disk's snapshots until none is listed.
async fn delete(ask: &Ask<'_>, disk: &str) -> Result<String, String> {
    let (began, mut sent, mut why) = (Instant::now(), None::<Instant>, String::new());
    while began.elapsed() < LONGEST {
        match of(ask, disk).await {
            Ok(left) if left.is_empty() => return Ok(format!("after {} s", began.elapsed().as_secs())),
            Ok(left) => {
                why = format!("still listed: {}", told(&left));
                // One that was accepted may not have begun.
                if sent.is_none_or(|sent| sent.elapsed() >= AGAIN) {
                    sent = Some(Instant::now());
                    let body = DeleteSnapshot {
                        region_id: ask.region.clone(),
                        disk_id: disk.to_owned(),
                        snapshot_ids: left.into_iter().map(|one| one.snapshot_id).collect(),
                    };
                    if let Err(error) = ask.client.delete_snapshot(&body).await {
                        why = brief(&error.to_string());
                    }
                }
            }
            Err(error) => why = brief(&error.to_string()),
        }
        sleep(PAUSE).await;
    }
    Err(why)
}
