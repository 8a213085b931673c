//! A disk is attached to a machine that was named, and detached.

use ecx::Error;
use ecx::api::{AttachDisk, Disk, GetDisk, GetJob, Group, JobReply, Op};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::super::ask::Ask;
use super::super::line::{Line, Verdict, brief};
use super::guest::{self, Guest};
use super::refusal;
use super::terms::{LONGEST, PAUSE};

const ATTACH: &str = "an attached disk is in use and tells its machine (op 7, op 4)";
const DETACH: &str = "a detached disk is free and tells none (op 8, op 4)";
const JOB: &str = "the job of an attach comes to its end (op 10)";

const STAYS: &str = "an attached disk is not deleted together with its machine (op 7, op 4)";

/// Names under which a cloud may tell that a disk is deleted together with its machine. The documents have it as a field of requests
/// alone (ecx/API.md §3).
const WITH_MACHINE: [&str; 4] =
    ["deleteDiskWithInstance", "deleteWithInstance", "isDeleteWithInstance", "deleteOnTermination"];

/// What came of it, and settings of the profile that a person must choose.
pub(super) struct Attached {
    pub(super) lines: Vec<Line>,
    pub(super) settings: Vec<String>,
}

/// Attaches, and detaches whatever came of it.
pub(super) async fn there_and_back(
    ask: &Ask<'_>,
    disk: &str,
    instance: &str,
    guest: Option<&Guest>,
) -> Attached {
    let body = AttachDisk {
        region_id: ask.region.clone(),
        disk_id: disk.to_owned(),
        instance_id: Some(instance.to_owned()),
    };
    let sent = ask.client.attach_disk(&body).await;
    if let Err(error) = &sent
        && !error.outcome_unknown()
    {
        return Attached { lines: vec![Line::unanswered(ATTACH, error)], settings: refused(ask, error) };
    }
    let there = |disk: &Disk| disk.disk_status.group() == Group::Attached && disk.holders() == [instance];
    let attached = wait(ask, ATTACH, disk, there).await;
    let job = job(ask, sent.ok()).await;
    let mut lines = Vec::new();
    // Where it is not attached these would be no repetition.
    if attached.verdict == Verdict::Fits {
        lines.extend([refusal::attached(ask, &body).await, refusal::in_use(ask, disk).await]);
    }
    let seen = match guest {
        Some(guest) => guest.sees(disk).await,
        None => guest::elsewhere(),
    };
    let (stays, settings) = stays(ask, disk).await;
    let detached = match ask.client.detach_disk(&body).await {
        Err(error) if !error.outcome_unknown() => Line::unanswered(DETACH, &error),
        Ok(_) | Err(_) => {
            let free = |disk: &Disk| disk.disk_status.group() == Group::Settled && disk.holders().is_empty();
            wait(ask, DETACH, disk, free).await
        }
    };
    if detached.verdict == Verdict::Fits {
        lines.extend([refusal::detached(ask, &body).await, refusal::no_machine(ask, &body).await]);
    }
    lines.extend([attached, job, seen, stays, detached]);
    Attached { lines, settings }
}

/// A field that the cloud does not know is one that it may refuse.
fn refused(ask: &Ask<'_>, error: &Error) -> Vec<String> {
    let asked = matches!(error, Error::Parameter(_)) && ask.client.profile().send_delete_disk_with_instance;
    let why =
        "# choose, if it is `deleteDiskWithInstance` that is refused: send_delete_disk_with_instance = false";
    Vec::from_iter(asked.then(|| why.to_owned()))
}

/// Whether the disk is told to stay when its machine goes.
async fn stays(ask: &Ask<'_>, disk: &str) -> (Line, Vec<String>) {
    let query = GetDisk { region_id: ask.region.clone(), disk_id: disk.to_owned() };
    let told = match ask.client.told(Op::GetDisk, &query).await {
        Ok(told) => told.payload,
        Err(error) => return (Line::unanswered(STAYS, &error), Vec::new()),
    };
    let asked = ask.client.profile().send_delete_disk_with_instance;
    let sent = if asked { "`deleteDiskWithInstance: false` was sent" } else { "nothing was asked for" };
    match goes(&told) {
        None => (Line::unknown(STAYS, format!("{sent}, and no field of op 4 tells")), Vec::new()),
        Some((key, false)) => (Line::fits(STAYS, format!("`{key}` is false")), Vec::new()),
        Some((key, true)) => {
            let setting = (!asked).then(|| "# choose: send_delete_disk_with_instance = true".to_owned());
            (Line::differs(STAYS, format!("`{key}` is true, and {sent}")), Vec::from_iter(setting))
        }
    }
}

/// What a record tells of going with its machine, at whatever depth.
fn goes(told: &Value) -> Option<(&str, bool)> {
    match told {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            let told = WITH_MACHINE.contains(&key.as_str()).then(|| value.as_bool()).flatten();
            told.map(|told| (key.as_str(), told)).or_else(|| goes(value))
        }),
        Value::Array(items) => items.iter().find_map(goes),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Waits until the disk is so, and tells the states on the way.
async fn wait(ask: &Ask<'_>, assumption: &'static str, id: &str, so: impl Fn(&Disk) -> bool) -> Line {
    let (began, mut states) = (Instant::now(), Vec::new());
    loop {
        let query = GetDisk { region_id: ask.region.clone(), disk_id: id.to_owned() };
        let disk = ask.client.get_disk(&query).await;
        let held = disk.as_ref().map(|disk| disk.holders().join(" and ")).unwrap_or_default();
        if let Ok(disk) = &disk
            && states.last().is_none_or(|last| last != disk.disk_status.as_str())
        {
            states.push(disk.disk_status.as_str().to_owned());
        }
        let is_so = disk.is_ok_and(|disk| so(&disk));
        if is_so || began.elapsed() >= LONGEST {
            let held = if held.is_empty() { "nobody" } else { &held };
            let seen = format!("{} s: {}; held by {held}", began.elapsed().as_secs(), states.join(", "));
            return Line::of(assumption, is_so, brief(&seen));
        }
        sleep(PAUSE).await;
    }
}

/// Whether the job ends. It is asked after the disk itself, which alone decides.
async fn job(ask: &Ask<'_>, reply: Option<JobReply>) -> Line {
    let id = reply.and_then(|reply| reply.disk_request_id.or(reply.disk_job_id));
    let Some(job_id) = id else { return Line::differs(JOB, "no job's id is told") };
    let mut last = String::new();
    for _ in 0..10 {
        let query = GetJob { region_id: ask.region.clone(), job_id: job_id.clone() };
        match ask.client.get_job(&query).await {
            Ok(job) if job.status == 1 => return Line::fits(JOB, format!("status 1, {:?}", job.job_status)),
            Ok(job) => last = format!("status {}, {:?}", job.status, job.job_status),
            Err(error) => return Line::unanswered(JOB, &error),
        }
        sleep(PAUSE).await;
    }
    Line::differs(JOB, brief(&last))
}
