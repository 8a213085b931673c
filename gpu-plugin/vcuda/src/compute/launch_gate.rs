//! Admits launches on one card, a number of them at a time. The thread that runs the time slices sets that number; launches beyond it
//! wait.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::inflight::{Inflight, Snapshot};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Condvar, Mutex, Thread, current, park};

#[cfg(all(test, loom))]
mod loom_tests;

/// How long a launch sleeps at most before it checks again by itself.
const MAX_SLEEP: Duration = Duration::from_millis(100);

/// There is no thread that admits launches, and there will be none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Abandoned;

/// The gate of one card in this process.
#[derive(Debug, Default)]
pub(super) struct LaunchGate {
    inflight: Inflight,
    /// Launches with a number below this are admitted.
    admitted: AtomicU64,
    /// Launches that wait.
    waiting: AtomicU32,
    /// Held while `admitted` is changed, and by those who are about to sleep.
    lock: Mutex<()>,
    changed: Condvar,
    /// The thread that admits launches. It sleeps while none waits.
    timeslice_thread: Mutex<Option<Thread>>,
    abandoned: AtomicBool,
}

impl LaunchGate {
    /// Begins a launch as soon as it is admitted; how things were before it.
    #[inline]
    pub(super) fn enter(&self) -> Result<Snapshot, Abandoned> {
        let mut before = self.inflight.begin_launch();
        while before.launches() >= self.admitted.load(Ordering::SeqCst) {
            self.inflight.cancel_launch();
            self.wait()?;
            before = self.inflight.begin_launch();
        }
        Ok(before)
    }

    /// Ends a launch that has entered.
    #[inline]
    pub(super) fn leave(&self) {
        self.inflight.end_launch();
    }

    /// What is in flight.
    pub(super) fn inflight(&self) -> &Inflight {
        &self.inflight
    }

    /// Waits until more launches are admitted.
    #[cold]
    fn wait(&self) -> Result<(), Abandoned> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        if let Some(thread) = &*self.timeslice_thread.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while self.inflight.snapshot().launches() >= self.admitted.load(Ordering::SeqCst)
            && !self.abandoned.load(Ordering::SeqCst)
        {
            lock = self.changed.wait_timeout(lock, MAX_SLEEP).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(lock);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        if self.abandoned.load(Ordering::SeqCst) { Err(Abandoned) } else { Ok(()) }
    }

    /// Whether a launch waits.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) != 0
    }

    /// Sleeps until a launch waits; for the thread that admits them.
    pub(super) fn sleep_until_one_waits(&self) {
        while !self.has_waiting() {
            park();
        }
    }

    /// Admits that many more launches; none shuts the gate.
    pub(super) fn admit(&self, more: u64) {
        if more == 0 {
            return self.shut();
        }
        self.set_admitted(self.inflight.snapshot().launches() + more);
        if self.has_waiting() {
            self.changed.notify_all();
        }
    }

    /// Admits no more launches.
    pub(super) fn shut(&self) {
        self.set_admitted(0);
    }

    fn set_admitted(&self, admitted: u64) {
        // Inside the lock: one that has just looked and is about to sleep must not miss it.
        let _lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.admitted.store(admitted, Ordering::SeqCst);
    }

    /// This thread will admit launches. To be called before the first `sleep_until_one_waits`: a launch that waits without knowing the
    /// thread cannot wake it.
    pub(super) fn register_timeslice_thread(&self) {
        *self.timeslice_thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(current());
    }

    /// There will be no thread that admits launches: all of them fail.
    pub(super) fn abandon(&self) {
        // Inside the lock, as `admitted` is changed.
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.abandoned.store(true, Ordering::SeqCst);
        drop(lock);
        self.changed.notify_all();
    }
}
