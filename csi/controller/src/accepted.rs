//! Waits for the end of a write that the cloud has accepted. Accepted is not begun: the disk may look for a while as if nothing had
//! been sent. It is waited for then and not sent again, until the disk shows the end, or the job or order tells of another.

use eck_csi::volume::Region;
use ecx::api::{Disk, GetJob, GetOrder, Group, JobReply};
use tokio::time::Instant;

use crate::disk_reader::{Query, Verdict, WaitError};
use crate::driver::Driver;

/// What the cloud gave to ask after; nothing, if it gave none.
#[derive(Debug, Clone, Default)]
pub(crate) enum Handle {
    #[default]
    None,
    Job(String),
    Order(String),
}

impl Handle {
    /// Of an attach or a detach.
    pub(crate) fn job(reply: JobReply) -> Self {
        let job = reply.disk_request_id.or(reply.disk_job_id).filter(|job| !job.is_empty());
        job.map_or(Self::None, Self::Job)
    }

    /// Of an order.
    pub(crate) fn order(id: Option<String>) -> Self {
        id.filter(|id| !id.is_empty()).map_or(Self::None, Self::Order)
    }
}

/// How what was accepted ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The disk shows it; `None` if there is no disk any more.
    Shown(Option<Disk>),
    /// The cloud says that it failed, and the disk shows nothing.
    Failed,
    /// The cloud says that it is done, and the disk still shows nothing of it: it was undone, or shows it later.
    NotShown(Option<Disk>),
}

/// How far a job or an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Running,
    Done,
    Failed,
}

/// The disk is looked at so often before its job or order is asked after, at most: each time twice as often.
const MOST_LOOKS: u32 = 8;

/// So often the disk is looked at after the cloud has said that it is done.
const LOOKS_AFTER_DONE: u32 = 5;

impl Driver {
    /// When an operation that begins now is given up.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.client.profile().poll.give_up()
    }

    /// Waits until `over` is true of the disk, or its job or order has ended otherwise.
    pub(crate) async fn ended(
        &self,
        region: &Region,
        disk: &str,
        handle: &Handle,
        deadline: Instant,
        over: impl Fn(Option<&Disk>) -> bool,
    ) -> Result<Ended, WaitError> {
        let (mut looks, mut said_done) = (1, false);
        loop {
            let mut left = looks;
            let judge = |disks: &[Disk]| {
                let disk = disks.first();
                if over(disk) {
                    return Verdict::Done((true, disk.cloned()));
                }
                if disk.is_some_and(|disk| disk.disk_status.group() == Group::Busy) {
                    return Verdict::Wait(disk.map_or("", |disk| disk.disk_status.as_str()).to_owned());
                }
                left -= 1;
                if left == 0 { Verdict::Done((false, disk.cloned())) } else { Verdict::Wait(last_seen(disk)) }
            };
            let looked =
                self.reader.wait_until(deadline, region, Query::Proven(disk.to_owned()), judge).await?;
            let (shown, now) = looked;
            if shown {
                return Ok(Ended::Shown(now));
            }
            looks = match self.progress(region, handle).await {
                Some(Progress::Failed) => {
                    let now = self.reader.proven(region, disk).await?;
                    return Ok(if over(now.as_ref()) { Ended::Shown(now) } else { Ended::Failed });
                }
                Some(Progress::Done) if said_done => return Ok(Ended::NotShown(now)),
                Some(Progress::Done) => {
                    said_done = true;
                    LOOKS_AFTER_DONE
                }
                Some(Progress::Running) | None => (looks * 2).min(MOST_LOOKS),
            };
        }
    }

    /// `None` if the cloud does not tell: then the disk alone does.
    async fn progress(&self, region: &Region, handle: &Handle) -> Option<Progress> {
        match handle {
            Handle::None => None,
            Handle::Job(job) => {
                let query = GetJob { region_id: region.to_string(), job_id: job.clone() };
                let job = self.client.get_job(&query).await.ok()?;
                Some([Progress::Running, Progress::Done, Progress::Failed][usize::from(job.status.min(2))])
            }
            Handle::Order(order) => {
                let query = GetOrder { master_order_id: order.clone() };
                Some(order_progress(&self.client.get_order(&query).await.ok()?.order_status))
            }
        }
    }
}

/// What an order's number means (ecx/API.md §3): those that end it without success are known, and whatever else is not done goes on.
fn order_progress(status: &str) -> Progress {
    match status {
        "3" => Progress::Done,
        // Cancelled, construction failed, payment failed.
        "4" | "5" | "22" => Progress::Failed,
        _ => Progress::Running,
    }
}

fn last_seen(disk: Option<&Disk>) -> String {
    disk.map_or("no disk", |disk| disk.disk_status.as_str()).to_owned()
}
