//! Deterministic simulation: the controller's own code against the simulated cloud, in one thread and in virtual time,
//! under a scheduler that draws everything from a seed: what callers request, retry, send concurrently or abandon; which
//! faults the cloud has; when the controller crashes. After each step and at each reply the invariants of [`check`] must
//! hold.
//!
//! The controller runs several times in one schedule. Each run is a tokio runtime with a paused clock; a crash ends it
//! at whatever await point each task has reached, and the next run begins with a controller without any state. The
//! cloud, its time, and what the callers know go on. At the end there are no more faults, every caller retries until it
//! has its reply, all volumes are deleted, and nothing may be left in the cloud.

use tokio::runtime::Builder;

mod bug;
mod caller;
mod check;
mod config;
mod outcome;
mod schedule;
mod steps;
mod topology;
mod trace;
mod volume;
mod wind_down;

pub use bug::Bug;
pub use check::Invariant;
pub use outcome::{Counts, Outcome, SetupError, Violation};

use schedule::{RunEnd, Schedule};

/// Runs the schedule of `seed`, with or without a planted bug.
pub fn run(seed: u64, bug: Option<Bug>) -> Result<Outcome, SetupError> {
    let mut schedule = Schedule::random(seed, bug)?;
    let result = loop {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        match runtime.block_on(schedule.run_controller()) {
            Ok(RunEnd::Finished) => break Ok(()),
            // The runtime is dropped here, and with it the controller's tasks wherever they are.
            Ok(RunEnd::Crashed) => {}
            Err(violation) => break Err(violation),
        }
    };
    Ok(schedule.into_outcome(result))
}
