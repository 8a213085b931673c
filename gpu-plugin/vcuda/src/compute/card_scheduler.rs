//! Schedules this process's launches on one card: they pass the gate, and it is remembered which streams have work and how long the
//! card has worked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::abi::{CUcontext, CUresult};
use crate::cards::{self, Card};

use super::arbiter::Descriptor;
use super::busy_time::BusyTime;
use super::completion::{self, Completion};
use super::inflight::Snapshot;
use super::launch_gate::{Abandoned, LaunchGate};
use super::pacing::Pacing;
use super::stream::Stream;
use super::{capture, clock};

/// Streams whose completion is found without a lock: a hint, so a few do.
const HINTS: usize = 16;

/// `CUDA_ERROR_OPERATING_SYSTEM`
const OPERATING_SYSTEM: CUresult = 304;

/// The scheduler of one card in this process.
pub(super) struct CardScheduler {
    pub(super) card: &'static Card,
    pub(super) arbiter_descriptor: Descriptor,
    pub(super) gate: LaunchGate,
    hints: [AtomicUsize; HINTS],
    work: Mutex<Work>,
}

/// What the card does for this process.
#[derive(Debug, Default)]
struct Work {
    busy_time: BusyTime,
    /// Where work may be, each with its context.
    completions: Vec<(Completion, usize)>,
    pacing: Pacing,
}

/// The state of the card when it was polled.
#[derive(Debug, Clone, Copy)]
pub(super) struct CardStatus {
    pub(super) now: u64,
    pub(super) busy: bool,
    /// Whether it could not be asked.
    pub(super) unknown: bool,
    /// All the time that it has worked, in ns.
    pub(super) busy_time: u64,
    /// When it was last known to be idle.
    pub(super) idle_since: u64,
    /// How many more launches pacing allows.
    pub(super) allowance: u64,
    /// How long, in ns, nothing may happen before a launch is admitted that may be what the others wait for.
    pub(super) patience: u64,
}

impl CardScheduler {
    pub(super) fn new(card: &'static Card) -> Self {
        Self {
            card,
            arbiter_descriptor: Descriptor::default(),
            gate: LaunchGate::default(),
            hints: Default::default(),
            work: Mutex::new(Work { pacing: Pacing::new(cards::all().len()), ..Work::default() }),
        }
    }

    /// Launches as soon as the launch is admitted.
    #[inline]
    pub(super) fn launch(&self, stream: Stream, real: impl FnOnce() -> CUresult) -> CUresult {
        let Some(completion) = Completion::of(stream) else { return real() };
        let before = match self.gate.enter() {
            Ok(before) => before,
            Err(Abandoned) => return OPERATING_SYSTEM,
        };
        if !before.is_busy() {
            self.begin_busy();
        }
        if self.hint(completion).load(Ordering::SeqCst) != completion.key {
            self.remember(completion);
        }
        let result = real();
        completion.after_launch();
        self.gate.leave();
        result
    }

    /// The card works from now on.
    #[cold]
    fn begin_busy(&self) {
        let mut work = self.work();
        let seen = self.gate.inflight().snapshot();
        if !seen.is_busy() {
            // This launch is one of them.
            work.busy_time.begin(clock::now(), seen.launches().saturating_sub(1));
            self.gate.inflight().set_busy();
        }
    }

    fn hint(&self, completion: Completion) -> &AtomicUsize {
        // Handles are addresses of aligned things: their lowest bits are the same.
        &self.hints[(completion.key >> 4 ^ completion.key >> 9) % HINTS]
    }

    #[cold]
    fn remember(&self, completion: Completion) {
        let mut work = self.work();
        if !work.completions.iter().any(|(known, _)| *known == completion) {
            let context = completion::current_context().unwrap_or(std::ptr::null_mut());
            work.completions.push((completion, context as usize));
        }
        self.hint(completion).store(completion.key, Ordering::SeqCst);
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the card whether it is idle. `remaining` is the time that is left of the time slice, in ns.
    pub(super) fn poll(&self, remaining: u64) -> CardStatus {
        let seen = self.gate.inflight().snapshot();
        let mut work = self.work();
        let mut unknown = false;
        if seen.is_busy() && !seen.is_launching() {
            let done = capture::without_captures(|| {
                work.completions
                    .iter()
                    .all(|(completion, context)| completion.is_done_in(*context as CUcontext))
            });
            unknown = done.is_none();
            let now = clock::now();
            if done == Some(true) {
                let end = work.busy_time.estimated_end(now);
                self.end_busy(&mut work, seen, end);
            } else {
                work.busy_time.still_busy(now);
            }
        }
        let (now, after) = (clock::now(), self.gate.inflight().snapshot());
        let (busy, launches) =
            if after.is_busy() { work.busy_time.running(now, after.launches()) } else { (0, 0) };
        CardStatus {
            now,
            busy: after.is_busy() || after.is_launching(),
            unknown,
            busy_time: work.busy_time.total() + busy,
            idle_since: work.busy_time.idle_since(),
            allowance: work.pacing.allowance(remaining, busy, launches),
            patience: work.pacing.patience(),
        }
    }

    /// The card was done, at a moment, with everything that was launched until `seen`.
    fn end_busy(&self, work: &mut Work, seen: Snapshot, at: u64) {
        if !self.gate.inflight().set_idle_since(seen) {
            return;
        }
        let (busy, launches) = work.busy_time.end(at, seen.launches());
        work.pacing.measure(busy, launches);
        for (completion, _) in work.completions.drain(..) {
            completion.release();
        }
        self.forget_hints();
    }

    /// The program has waited for work that was launched until `seen`: `covers` is whether what a completion stands for is part of it.
    #[inline]
    pub(super) fn observed_done(&self, seen: Snapshot, covers: impl Fn(Completion, CUcontext) -> bool) {
        let now_seen = self.gate.inflight().snapshot();
        if !seen.is_busy() || seen.is_launching() || now_seen.launches() != seen.launches() {
            return;
        }
        let now = clock::now();
        let mut work = self.work();
        if work.completions.iter().all(|(completion, context)| covers(*completion, *context as CUcontext)) {
            self.end_busy(&mut work, seen, now);
        }
    }

    /// Asks the card whether it is idle, where one stream only has work: then it costs one call of the driver.
    pub(super) fn poll_single_stream(&self) {
        let seen = self.gate.inflight().snapshot();
        if !seen.is_busy() || seen.is_launching() {
            return;
        }
        let mut work = self.work();
        let [(completion, context)] = work.completions[..] else { return };
        // The program's own thread: its context stays as it is.
        let done = || completion::current_context() == Some(context as CUcontext) && completion.is_done();
        if capture::without_captures(done) == Some(true) {
            self.end_busy(&mut work, seen, clock::now());
        }
    }

    /// A stream is about to be destroyed: what it has still to do is known by another completion.
    pub(super) fn stream_destroyed(&self, key: usize) {
        let mut work = self.work();
        if let Some(at) = work.completions.iter().position(|(completion, _)| completion.key == key) {
            let (completion, context) = work.completions.swap_remove(at);
            if let Some(completion) = completion.detach(context as CUcontext) {
                work.completions.push((completion, context));
            }
            self.forget_hints();
        }
    }

    /// A context is about to be destroyed, and its work with it.
    pub(super) fn context_destroyed(&self, context: CUcontext) {
        self.work().completions.retain(|(_, other)| *other != context as usize);
        self.forget_hints();
    }

    fn forget_hints(&self) {
        for hint in &self.hints {
            hint.store(0, Ordering::SeqCst);
        }
    }
}
