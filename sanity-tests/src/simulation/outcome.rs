//! The result of a schedule.

use std::fmt;

use super::check::Invariant;

/// The result of one schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Hash of all that happened: each step, request, reply and result, with its time.
    pub hash: u64,
    /// What was counted.
    pub counts: Counts,
    /// Virtual time, in milliseconds.
    pub lasted_ms: u64,
    /// All that happened, one line per event.
    pub events: Vec<String>,
    /// The invariant that did not hold, if any.
    pub violation: Option<Violation>,
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// The state that violates it.
    pub details: String,
}

/// What was done in a schedule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counts {
    /// Steps of the scheduler.
    pub steps: u64,
    /// Calls of the controller.
    pub calls: u64,
    /// Calls that got a reply.
    pub replies: u64,
    pub abandoned: u64,
    /// Requests that reached the cloud.
    pub requests: u64,
    pub faults: u64,
    pub crashes: u64,
}

impl Counts {
    /// Adds those of another schedule.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.calls += other.calls;
        self.replies += other.replies;
        self.abandoned += other.abandoned;
        self.requests += other.requests;
        self.faults += other.faults;
        self.crashes += other.crashes;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, calls, replies, abandoned, requests, faults, crashes } = self;
        write!(f, "{steps} steps, {calls} calls ({replies} answered, {abandoned} abandoned), ")?;
        write!(f, "{requests} requests to the cloud, {faults} faults, {crashes} crashes")
    }
}

/// Why a schedule could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The simulated cloud.
    #[error("cannot start the simulated cloud")]
    Cloud(#[from] ecx_sim::StartError),
    /// A region's code.
    #[error(transparent)]
    Region(#[from] eck_csi::field::BadField),
    /// The runtime.
    #[error("cannot build the runtime")]
    Runtime(#[from] std::io::Error),
}
