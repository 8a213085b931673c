//! The trial's disk grows once, which no cloud can undo.

use ecx::api::{Disk, GetDisk, Group, ResizeDisk};
use ecx::token;
use tokio::time::{Instant, sleep};

use super::super::ask::Ask;
use super::super::line::{Line, brief};
use super::terms::{LARGER, LONGEST, PAUSE, WHOM};

const GROWN: &str = "a disk that is resized tells its new size (op 9, op 4)";

/// Grows the disk, and waits until it tells so and is at rest.
pub(super) async fn grow(ask: &Ask<'_>, disk: &str) -> Line {
    let body = ResizeDisk {
        client_token: token::resize(WHOM, disk, LARGER),
        region_id: ask.region.clone(),
        disk_id: disk.to_owned(),
        disk_size: LARGER,
    };
    if let Err(error) = ask.client.resize_disk(&body).await
        && !error.outcome_unknown()
        && !matches!(error, ecx::Error::InProgress(_))
    {
        return Line::unanswered(GROWN, &error);
    }
    let (began, mut last) = (Instant::now(), String::new());
    let query = GetDisk { region_id: ask.region.clone(), disk_id: disk.to_owned() };
    while began.elapsed() < LONGEST {
        match ask.client.get_disk(&query).await {
            Ok(disk) if is_grown(&disk) => {
                let seen = format!("{} GiB, {} s after the order", disk.disk_size, began.elapsed().as_secs());
                return Line::fits(GROWN, seen);
            }
            Ok(disk) => last = format!("{} GiB, {:?}", disk.disk_size, disk.disk_status.as_str()),
            Err(error) => last = brief(&error.to_string()),
        }
        sleep(PAUSE).await;
    }
    Line::differs(GROWN, format!("after {} s: {last}", LONGEST.as_secs()))
}

fn is_grown(disk: &Disk) -> bool {
    disk.disk_size == LARGER && disk.disk_status.group() != Group::Busy
}
