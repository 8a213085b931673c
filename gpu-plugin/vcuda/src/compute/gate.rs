//! What launches on one card pass through.
//!
//! It lets a number of launches in; the time slice's thread moves that number. Which streams have work is remembered while the card works, and
//! how long it worked is measured from the first launch on an idle card to the moment at which it is seen to be done.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use crate::abi::{CUcontext, CUresult};
use crate::cards::Card;

use super::completion::{self, Completion};
use super::inflight::{Inflight, Snapshot};
use super::pacing::Pacing;
use super::stream::Stream;
use super::timeslice_lock::TimesliceLock;
use super::{capture, clock};

/// Streams whose completion is found without a lock: a hint, so a few do.
const HINTS: usize = 16;

/// How long a launch sleeps at most before it looks again by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// `CUDA_ERROR_OPERATING_SYSTEM`
const OPERATING_SYSTEM: CUresult = 304;

/// The gate of one card in this process.
pub(super) struct Gate {
    pub(super) card: &'static Card,
    pub(super) timeslice: TimesliceLock,
    pub(super) inflight: Inflight,
    /// Launches with a number below this are let in.
    until: AtomicU64,
    hints: [AtomicUsize; HINTS],
    pub(super) work: Mutex<Work>,
    /// Launches that wait.
    waiting: AtomicU32,
    door: Mutex<()>,
    opened: Condvar,
    /// The thread that opens and shuts.
    pub(super) timeslice_thread: OnceLock<Thread>,
    /// There is no such thread and will be none.
    pub(super) abandoned: AtomicBool,
}

/// What the card does for this process.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Since when it works.
    since: u64,
    /// Number of the launch it began with.
    first: u64,
    /// When it was last seen at work.
    seen: u64,
    /// When it was last seen to be done.
    done: u64,
    /// Time that it has worked, up to `done`.
    total: u64,
    /// Where work may be.
    completions: Vec<(Completion, usize)>,
    pub(super) pacing: Pacing,
}

/// What a look at the card says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) now: u64,
    pub(super) busy: bool,
    /// Whether it could not be asked.
    pub(super) unknown: bool,
    /// All the time it has worked.
    pub(super) total: u64,
    /// When it was last seen to be done.
    pub(super) done: u64,
    /// How many more launches pacing allows.
    pub(super) more: u64,
    /// How long nothing may happen.
    pub(super) patience: u64,
}

impl Gate {
    pub(super) fn new(card: &'static Card, timeslice: TimesliceLock) -> Self {
        Self {
            card,
            timeslice,
            inflight: Inflight::default(),
            until: AtomicU64::new(0),
            hints: Default::default(),
            work: Mutex::default(),
            waiting: AtomicU32::new(0),
            door: Mutex::default(),
            opened: Condvar::new(),
            timeslice_thread: OnceLock::new(),
            abandoned: AtomicBool::new(false),
        }
    }

    /// Launches when it is this launch's time.
    #[inline]
    pub(super) fn launch(&self, stream: Stream, real: impl FnOnce() -> CUresult) -> CUresult {
        let Some(completion) = Completion::of(stream) else { return real() };
        let mut before = self.inflight.begin_launch();
        while before.launches() >= self.until.load(Ordering::SeqCst) {
            self.inflight.cancel_launch();
            if let Err(error) = self.wait() {
                return error;
            }
            before = self.inflight.begin_launch();
        }
        if !before.is_busy() {
            self.begin();
        }
        if self.hint(completion).load(Ordering::SeqCst) != completion.key {
            self.remember(completion);
        }
        let result = real();
        completion.after_launch();
        self.inflight.end_launch();
        result
    }

    /// The card works from now on.
    #[cold]
    fn begin(&self) {
        let mut work = self.work();
        let seen = self.inflight.snapshot();
        if !seen.is_busy() {
            work.since = clock::now();
            work.seen = work.since;
            work.first = seen.launches().saturating_sub(1);
            self.inflight.set_busy();
        }
    }

    fn hint(&self, completion: Completion) -> &AtomicUsize {
        // Handles are addresses of aligned things: their lowest bits say nothing.
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

    pub(super) fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the time slice's thread lets more in.
    #[cold]
    fn wait(&self) -> Result<(), CUresult> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        if let Some(thread) = self.timeslice_thread.get() {
            thread.unpark();
        }
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        while self.inflight.snapshot().launches() >= self.until.load(Ordering::SeqCst)
            && !self.abandoned.load(Ordering::SeqCst)
        {
            door = self.opened.wait_timeout(door, LOOK_AGAIN).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(door);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        if self.abandoned.load(Ordering::SeqCst) { Err(OPERATING_SYSTEM) } else { Ok(()) }
    }

    /// Whether a launch waits.
    pub(super) fn wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) != 0
    }

    /// Lets that many more in, and no more.
    pub(super) fn allow(&self, more: u64) {
        let until = if more == 0 { 0 } else { self.inflight.snapshot().launches() + more };
        // Inside the lock: one that has just looked and is about to sleep must not miss it.
        let door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        self.until.store(until, Ordering::SeqCst);
        drop(door);
        if more > 0 && self.wanted() {
            self.opened.notify_all();
        }
    }

    /// There will be no thread that lets launches in.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
        self.opened.notify_all();
    }

    /// Asks the card whether it is done. `room` is the time that is left of the turn.
    pub(super) fn look(&self, room: u64) -> Look {
        let seen = self.inflight.snapshot();
        let mut work = self.work();
        let mut unknown = false;
        if seen.is_busy() && !seen.is_launching() {
            let done = capture::unless_any(|| {
                work.completions
                    .iter()
                    .all(|(completion, context)| completion.is_done_in(*context as CUcontext))
            });
            unknown = done.is_none();
            let now = clock::now();
            if done == Some(true) {
                // It was done at some moment since it was last seen at work: half of the time is right on average.
                let end = work.seen.midpoint(now);
                self.end(&mut work, seen, end);
            } else {
                work.seen = now;
            }
        }
        let (now, after) = (clock::now(), self.inflight.snapshot());
        let (working, launches) = match after.is_busy() {
            true => (now.saturating_sub(work.since), after.launches().saturating_sub(work.first)),
            false => (0, 0),
        };
        Look {
            now,
            busy: after.is_busy() || after.is_launching(),
            unknown,
            total: work.total + working,
            done: work.done,
            more: work.pacing.allowance(room, working, launches),
            patience: work.pacing.patience(),
        }
    }

    /// The card was done with everything until `seen` at `at`.
    fn end(&self, work: &mut Work, seen: Snapshot, at: u64) {
        if !self.inflight.set_idle_since(seen) {
            return;
        }
        let busy = at.saturating_sub(work.since);
        work.total += busy;
        work.done = at;
        work.pacing.measure(busy, seen.launches().saturating_sub(work.first));
        for (completion, _) in work.completions.drain(..) {
            completion.release();
        }
        self.forget_hints();
    }

    /// Takes notice that work launched until `seen` is done: `covers` says which.
    #[inline]
    pub(super) fn synchronise(&self, seen: Snapshot, covers: impl Fn(Completion, CUcontext) -> bool) {
        if !seen.is_busy() || seen.is_launching() || self.inflight.snapshot().launches() != seen.launches() {
            return;
        }
        let now = clock::now();
        let mut work = self.work();
        if work.completions.iter().all(|(completion, context)| covers(*completion, *context as CUcontext)) {
            self.end(&mut work, seen, now);
        }
    }

    /// Asks the card whether it is done, where one stream only has work.
    pub(super) fn glance(&self) {
        let seen = self.inflight.snapshot();
        if !seen.is_busy() || seen.is_launching() {
            return;
        }
        let mut work = self.work();
        let [(completion, context)] = work.completions[..] else { return };
        // The program's own thread: its context stays as it is.
        let done = || completion::current_context() == Some(context as CUcontext) && completion.is_done();
        if capture::unless_any(done) == Some(true) {
            self.end(&mut work, seen, clock::now());
        }
    }

    /// A stream is about to be destroyed: what it has still to do is known by another completion.
    pub(super) fn replace(&self, key: usize) {
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
    pub(super) fn forget(&self, context: CUcontext) {
        self.work().completions.retain(|(_, other)| *other != context as usize);
        self.forget_hints();
    }

    fn forget_hints(&self) {
        for hint in &self.hints {
            hint.store(0, Ordering::SeqCst);
        }
    }
}
