//! Every disk of the trial is refunded, and op 4 must say that it is gone.

use std::collections::BTreeSet;

use ecx::api::{AttachDisk, DeleteDisk, Disk, GetDisk, Group};
use ecx::{Error, token};
use tokio::time::{Instant, sleep};

use super::super::ask::Ask;
use super::super::line::{Line, Verdict, brief};
use super::terms::{AGAIN, LONGEST, PAUSE, WHOM};

const GONE: &str = "a refunded disk is unknown to op 4 (op 3, op 4)";

/// Refunds them all; gives what is said of it, and the disks that are left.
pub(super) async fn all(ask: &Ask<'_>, disks: &BTreeSet<String>) -> (Line, Vec<String>) {
    let (mut lines, mut left) = (Vec::new(), Vec::new());
    for disk in disks {
        match refund(ask, disk).await {
            Ok(seen) => lines.push(Line::fits(GONE, seen)),
            Err(why) => {
                left.push(format!("{disk} in {} is not refunded ({why}): refund it by hand", ask.region));
                lines.push(Line::differs(GONE, format!("{disk}: {why}")));
            }
        }
    }
    lines.sort_by_key(|line| line.verdict == Verdict::Fits);
    let line = lines.into_iter().next().unwrap_or_else(|| Line::unknown(GONE, "there was no disk"));
    (line, left)
}

/// Sends a refund until it is accepted, and waits until the disk is gone: what was accepted is not sent again.
async fn refund(ask: &Ask<'_>, disk: &str) -> Result<String, String> {
    let body = DeleteDisk {
        client_token: token::delete(WHOM, disk),
        region_id: ask.region.clone(),
        disk_id: disk.to_owned(),
    };
    let query = GetDisk { region_id: ask.region.clone(), disk_id: disk.to_owned() };
    let (began, mut accepted, mut why) = (Instant::now(), false, String::new());
    let mut detached = None;
    while began.elapsed() < LONGEST {
        if !accepted {
            match ask.client.delete_disk(&body).await {
                Ok(_) => accepted = true,
                Err(error) => {
                    accepted = error.outcome_unknown();
                    why = brief(&error.to_string());
                }
            }
        }
        match ask.client.get_disk(&query).await {
            Err(Error::DiskNotFound(_)) => {
                return Ok(format!("{disk}, {} s after the refund", began.elapsed().as_secs()));
            }
            Err(error) => why = brief(&error.to_string()),
            Ok(still) if accepted => why = format!("it is still {:?}", still.disk_status.as_str()),
            Ok(held) => detached = detach(ask, &held, detached).await,
        }
        sleep(PAUSE).await;
    }
    Err(why)
}

/// Detaches what the trial has attached, where its own detach has failed; gives when that was done last.
async fn detach(ask: &Ask<'_>, disk: &Disk, last: Option<Instant>) -> Option<Instant> {
    if disk.disk_status.group() != Group::Attached || last.is_some_and(|last| last.elapsed() < AGAIN) {
        return last;
    }
    let body = AttachDisk {
        region_id: ask.region.clone(),
        disk_id: disk.disk_id.clone(),
        instance_id: disk.holders().first().map(|holder| (*holder).to_owned()),
    };
    // Whatever comes of it shows at the next look.
    let _looked_at_next = ask.client.detach_disk(&body).await;
    Some(Instant::now())
}
