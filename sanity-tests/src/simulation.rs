//! Deterministic simulation: the controller's own code against the simulated cloud, in one thread and virtual time,
//! under a scheduler that draws everything from a seed: what callers ask for, again, at once, or give up; what goes
//! wrong in the cloud; when the controller dies. After each step and at each answer the invariants of [`check`] must
//! hold.
//!
//! A schedule is lived in several lives. A life is a tokio runtime with a paused clock; a crash ends it at whatever
//! await point each task has reached, and the next life begins with a controller that knows nothing. The cloud, its
//! time, and what the callers believe go on. In the end nothing goes wrong any more, everybody asks until he has his
//! answer, all volumes are deleted, and nothing may be left.

use std::fmt;

use tokio::runtime::Builder;

mod bug;
mod caller;
mod check;
mod places;
mod quiet;
mod scene;
mod steps;
mod trace;
mod volume;

pub use bug::Bug;
pub use check::Invariant;

use scene::{Life, Scene};

/// What a schedule came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Stands for all that happened: each step, request, reply and answer, with its time.
    pub hash: u64,
    /// What was counted.
    pub counts: Counts,
    /// Virtual time, in ms.
    pub lasted_ms: u64,
    /// All that happened, a line an event.
    pub schedule: Vec<String>,
    /// The invariant that did not hold.
    pub broken: Option<Broken>,
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub invariant: Invariant,
    /// What was seen.
    pub seen: String,
}

/// What was done in a schedule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counts {
    /// Steps of the scheduler.
    pub steps: u64,
    /// Calls of the controller.
    pub calls: u64,
    pub answers: u64,
    pub abandoned: u64,
    /// Requests that reached the cloud.
    pub requests: u64,
    pub faults: u64,
    pub crashes: u64,
}

impl Counts {
    /// Adds another schedule's.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.calls += other.calls;
        self.answers += other.answers;
        self.abandoned += other.abandoned;
        self.requests += other.requests;
        self.faults += other.faults;
        self.crashes += other.crashes;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, calls, answers, abandoned, requests, faults, crashes } = self;
        write!(f, "{steps} steps, {calls} calls ({answers} answered, {abandoned} abandoned), ")?;
        write!(f, "{requests} requests to the cloud, {faults} faults, {crashes} crashes")
    }
}

/// Why a schedule could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum CannotRun {
    /// The cloud.
    #[error("the simulated cloud")]
    Cloud(#[from] ecx_sim::server::StartError),
    /// A region's code.
    #[error(transparent)]
    Region(#[from] eck_csi::field::BadField),
    /// The runtime.
    #[error("no runtime")]
    Runtime(#[from] std::io::Error),
}

/// Runs the schedule of `seed`, with a bug planted or without.
pub fn run(seed: u64, bug: Option<Bug>) -> Result<Outcome, CannotRun> {
    let mut scene = Scene::draw(seed, bug)?;
    let ended = loop {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        match runtime.block_on(scene.live()) {
            Ok(Life::Over) => break Ok(()),
            // Here the runtime is dropped, and with it the controller's tasks where they are.
            Ok(Life::Crashed) => {}
            Err(broken) => break Err(broken),
        }
    };
    Ok(scene.outcome(ended))
}
