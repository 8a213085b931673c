//! Trims every volume of the schedule once a week, one after the other.

use std::time::{Duration, SystemTime};

use eck_csi::operations::Operations;
use eck_csi::volume::DiskId;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::TrimRequest;
use super::schedule::warn_of_schedule;
use crate::driver::Driver;
use crate::host::Host;

/// How often the schedule is checked.
const CHECK: Duration = Duration::from_secs(3600);

/// The trims of a node.
pub struct WeeklyTrim<H> {
    operations: Operations<Driver<H>>,
}

impl<H: Host> WeeklyTrim<H> {
    pub(crate) fn new(operations: Operations<Driver<H>>) -> Self {
        Self { operations }
    }

    /// Trims what is due, now and every hour, until the token is cancelled.
    pub async fn run(self, token: CancellationToken) {
        let mut hours = tokio::time::interval(CHECK);
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                _ = hours.tick() => {}
            }
            // The part that runs is an operation, which the end of the program waits for.
            tokio::select! {
                () = token.cancelled() => return,
                () = self.trim_due(SystemTime::now()) => {}
            }
        }
    }

    /// Trims what is due at `now`.
    pub async fn trim_due(&self, now: SystemTime) {
        let schedule = &self.operations.context().trims;
        let due = schedule.due(now).unwrap_or_else(|error| {
            warn_of_schedule(Err(error));
            Vec::new()
        });
        for disk in due {
            if self.trim(&disk).await {
                warn_of_schedule(schedule.trimmed(&disk, now));
            }
        }
    }

    /// Trims one disk. False: it is not mounted (yet, after a reboot) and stays due.
    async fn trim(&self, disk: &DiskId) -> bool {
        let mut from = Some(0);
        while let Some(at) = from {
            match self.operations.run(TrimRequest { disk: disk.clone(), from: at }).await {
                Ok(next) => from = next,
                Err(status) if status.code() == Code::NotFound => return false,
                Err(status) => {
                    tracing::warn!(%disk, error = status.message(), "The volume cannot be trimmed.");
                    from = None;
                }
            }
        }
        true
    }
}
