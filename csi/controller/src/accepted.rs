//! Waits for the end of a write that the cloud has accepted. Accepted is not begun: the disk may look for a while as if nothing had
//! been sent. It is waited for then and not sent again, until the disk shows the end, or the job or order tells of another.

use eck_csi::volume::Region;
use ecx::api::{Disk, GetJob, GetOrder, Group};
use tokio::time::Instant;

use crate::disk_reader::{Query, Verdict, WaitError};
use crate::driver::Driver;

pub(crate) mod handle;

pub(crate) use handle::Handle;

/// How what was accepted ended, with what the cloud shows then.
#[derive(Debug)]
pub(crate) enum Ended<T> {
    /// It shows the end.
    Shown(T),
    /// The cloud says that it failed, and shows nothing of it.
    Failed,
    /// The cloud says that it is done, and still shows nothing of it: it was undone, or is shown later.
    NotShown(T),
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

    /// Waits until `over` is true of the disk, by its own word, `None` if there is none any more, or its job or order has ended
    /// otherwise.
    pub(crate) async fn ended(
        &self,
        region: &Region,
        disk: &str,
        handle: &Handle,
        deadline: Instant,
        over: impl Fn(Option<&Disk>) -> bool,
    ) -> Result<Ended<Option<Disk>>, WaitError> {
        let query = Query::Proven(disk.to_owned());
        Ok(match self.ended_of(region, &query, handle, deadline, |disks| over(disks.first())).await? {
            Ended::Shown(disks) => Ended::Shown(disks.into_iter().next()),
            Ended::Failed => Ended::Failed,
            Ended::NotShown(disks) => Ended::NotShown(disks.into_iter().next()),
        })
    }

    /// Whether the cloud says of the job or order that it is done. One that goes on is waited for until `deadline`.
    pub(crate) async fn said_done(&self, region: &Region, handle: &Handle, deadline: Instant) -> bool {
        let mut pause = self.client.profile().poll.next(None);
        loop {
            match self.progress(region, handle).await {
                Some(Progress::Running) if Instant::now() < deadline => {
                    tokio::time::sleep(pause).await;
                    pause = self.client.profile().poll.next(Some(pause));
                }
                Some(Progress::Done) => return true,
                Some(Progress::Running | Progress::Failed) | None => return false,
            }
        }
    }

    /// Whether the cloud says of the job or order that it failed.
    pub(crate) async fn said_failed(&self, region: &Region, handle: &Handle) -> bool {
        matches!(self.progress(region, handle).await, Some(Progress::Failed))
    }

    /// The same of the disks that fit `query`.
    pub(crate) async fn ended_of(
        &self,
        region: &Region,
        query: &Query,
        handle: &Handle,
        deadline: Instant,
        mut over: impl FnMut(&[Disk]) -> bool,
    ) -> Result<Ended<Vec<Disk>>, WaitError> {
        let (mut looks, mut said_done) = (1, false);
        loop {
            let (shown, now) = self.looks(region, query, deadline, looks, &mut over).await?;
            if shown {
                return Ok(Ended::Shown(now));
            }
            looks = match self.progress(region, handle).await {
                Some(Progress::Failed) => {
                    let now = self.reader.ask(region, query.clone()).await?;
                    return Ok(if over(&now) { Ended::Shown(now) } else { Ended::Failed });
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

    /// Looks until it is over, or until so many looks have shown that nothing goes on: what was seen last, and whether it is over.
    async fn looks(
        &self,
        region: &Region,
        query: &Query,
        deadline: Instant,
        mut left: u32,
        over: &mut impl FnMut(&[Disk]) -> bool,
    ) -> Result<(bool, Vec<Disk>), WaitError> {
        let judge = |disks: &[Disk]| {
            if over(disks) {
                return Verdict::Done((true, disks.to_vec()));
            }
            let busy = disks.iter().any(|disk| disk.disk_status.group() == Group::Busy);
            left -= u32::from(!busy);
            let last = disks.first().map_or("no disk", |disk| disk.disk_status.as_str());
            if left == 0 { Verdict::Done((false, disks.to_vec())) } else { Verdict::Wait(last.to_owned()) }
        };
        self.reader.wait_until(deadline, region, query.clone(), judge).await
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

#[cfg(test)]
mod tests;
