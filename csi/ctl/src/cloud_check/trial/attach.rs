//! A disk is attached to a machine that was named, and detached.

use ecx::api::{AttachDisk, Disk, GetDisk, GetJob, Group, JobReply};
use tokio::time::{Instant, sleep};

use super::super::ask::Ask;
use super::super::line::{Line, brief};
use super::terms::{LONGEST, PAUSE};

const ATTACH: &str = "an attached disk is in use and tells its machine (op 7, op 4)";
const DETACH: &str = "a detached disk is free and tells none (op 8, op 4)";
const JOB: &str = "the job of an attach comes to its end (op 10)";

/// Attaches, and detaches whatever came of it.
pub(super) async fn there_and_back(ask: &Ask<'_>, disk: &str, instance: &str) -> Vec<Line> {
    let body = AttachDisk {
        region_id: ask.region.clone(),
        disk_id: disk.to_owned(),
        instance_id: Some(instance.to_owned()),
    };
    let sent = ask.client.attach_disk(&body).await;
    if let Err(error) = &sent
        && !error.outcome_unknown()
    {
        return vec![Line::unanswered(ATTACH, error)];
    }
    let there = |disk: &Disk| disk.disk_status.group() == Group::Attached && disk.holders() == [instance];
    let attached = wait(ask, ATTACH, disk, there).await;
    let job = job(ask, sent.ok()).await;
    let detached = match ask.client.detach_disk(&body).await {
        Err(error) if !error.outcome_unknown() => Line::unanswered(DETACH, &error),
        Ok(_) | Err(_) => {
            let free = |disk: &Disk| disk.disk_status.group() == Group::Settled && disk.holders().is_empty();
            wait(ask, DETACH, disk, free).await
        }
    };
    vec![attached, job, detached]
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
