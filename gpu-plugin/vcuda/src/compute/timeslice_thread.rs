//! The thread that runs the time slices of one card for this process: it waits until the container is entitled to one, acquires
//! the card's lock, lets launches in for the length of a time slice, waits until the card is done, charges what the work took, and
//! releases the lock.

use std::sync::atomic::Ordering;
use std::thread::park_timeout;
use std::time::Duration;

use crate::limits;

use super::card_scheduler::{CardScheduler, CardStatus};
use super::clock;
use super::gcra::Gcra;
use super::timeslice::TIMESLICE;

/// How often the card is polled during a time slice: half a percent of its length.
const POLL_INTERVAL: Duration = Duration::from_micros(100);

/// How often it is polled when the time slice is over, and the lock is tried: the card may do nothing in between.
const HANDOVER_POLL_INTERVAL: Duration = Duration::from_micros(50);

/// A process that has just had a time slice lets others who wait try this often before it tries itself: the lock is not fair, and
/// who releases it would be the first to acquire it again.
const YIELD_ATTEMPTS: u32 = 6;

/// How long, in ns, a card may be idle until the time slice ends early: longer than a program takes from the end of a kernel to the
/// launch of the next one, and a percent of a time slice.
const MAX_IDLE: u64 = 200_000;

/// How long, in ns, the lock is waited for at most. Whoever holds it then has a kernel that does not end, perhaps because it waits
/// for one of ours; what both take is charged to both.
const MAX_WAIT: u64 = 2_000_000_000;

/// The same where this process has work on another card, which may wait for this one while others hold the locks in the other
/// order.
const MAX_WAIT_MULTI_CARD: u64 = 30_000_000;

/// Length, in ns, of a time slice that the container is not entitled to and nobody else wants: short, as somebody may want it soon.
const BORROWED_TIMESLICE: u64 = 5_000_000;

/// How often, in ns, a container that may borrow checks whether nobody wants the card.
const BORROW_POLL_INTERVAL: u64 = 1_000_000;

/// The longest sleep until entitlement, in ns: other processes of the container change the same account.
const MAX_SLEEP: u64 = 100_000_000;

/// How long, in ns, what is on the card is waited for while it cannot be asked, as a graph is being captured.
const MAX_UNKNOWN: u64 = TIMESLICE;

/// How a time slice was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grant {
    /// The container is entitled to it, and has the lock.
    Entitled,
    /// The container is entitled to it, but the lock was not to be had in time: without it.
    TimedOut,
    /// The container is not entitled to it, but nobody else wants it; it has the lock.
    Borrowed,
}

/// Runs for ever.
pub(super) fn run(scheduler: &'static CardScheduler, has_other_work: fn(&CardScheduler) -> bool) {
    // SAFETY: two numbers. Timers are then exact to 1 µs; by default each poll would be 50 µs late.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000) };
    scheduler.gate.register_timeslice_thread();
    let mut thread = TimesliceThread {
        scheduler,
        gcra: Gcra::new(scheduler.card.counters.tat, scheduler.card.core_percent),
        has_other_work,
        borrows: limits::get().is_some_and(|limits| limits.work_conserving),
        charged: 0,
        back_to_back: false,
    };
    let mut last_end = 0;
    let mut wanted_since = 0;
    loop {
        scheduler.gate.sleep_until_one_waits();
        let now = clock::now();
        // A program that comes back at once has wanted the card all the time.
        thread.back_to_back = now.saturating_sub(last_end) <= MAX_IDLE;
        if !thread.back_to_back {
            wanted_since = now;
        }
        let grant = thread.acquire();
        scheduler.card.counters.throttled_ns.fetch_add(clock::now().saturating_sub(now), Ordering::Relaxed);
        thread.run_timeslice(grant, wanted_since);
        if grant != Grant::TimedOut {
            scheduler.timeslice.release();
        }
        last_end = clock::now();
    }
}

struct TimesliceThread {
    scheduler: &'static CardScheduler,
    gcra: Gcra,
    /// Whether the process has work on another card.
    has_other_work: fn(&CardScheduler) -> bool,
    borrows: bool,
    /// How much of the card's time for this process was charged.
    charged: u64,
    /// Whether work was waiting when the last time slice ended.
    back_to_back: bool,
}

impl TimesliceThread {
    /// Waits for a time slice.
    fn acquire(&self) -> Grant {
        loop {
            if !self.wait_until_entitled() {
                return Grant::Borrowed;
            }
            self.scheduler.timeslice.set_waiting(true);
            let grant = self.wait_for_lock();
            self.scheduler.timeslice.set_waiting(false);
            if let Some(grant) = grant {
                return grant;
            }
        }
    }

    /// Waits until the container is entitled; or false, with the lock, where nobody else is and it may borrow.
    fn wait_until_entitled(&self) -> bool {
        loop {
            let wait = self.gcra.delay(clock::now());
            if wait == 0 {
                return true;
            }
            if self.borrows
                && !self.scheduler.timeslice.is_contended()
                && self.scheduler.timeslice.try_acquire()
            {
                return false;
            }
            let longest = if self.borrows { BORROW_POLL_INTERVAL } else { MAX_SLEEP };
            park_timeout(Duration::from_nanos(wait.min(longest)));
        }
    }

    /// Waits for the lock; `None` if another process of the container had a time slice meanwhile and this one is entitled no longer.
    fn wait_for_lock(&self) -> Option<Grant> {
        let since = clock::now();
        let mut tries = 0;
        loop {
            let now = clock::now();
            tries += 1;
            let yields =
                self.back_to_back && tries < YIELD_ATTEMPTS && self.scheduler.timeslice.is_contended();
            let acquired = !yields && self.scheduler.timeslice.try_acquire();
            if self.gcra.delay(now) > 0 {
                if acquired {
                    self.scheduler.timeslice.release();
                }
                return None;
            }
            if acquired {
                return Some(Grant::Entitled);
            }
            let waited = now.saturating_sub(since);
            if waited > MAX_WAIT || waited > MAX_WAIT_MULTI_CARD && (self.has_other_work)(self.scheduler) {
                return Some(Grant::TimedOut);
            }
            park_timeout(HANDOVER_POLL_INTERVAL);
        }
    }

    /// One time slice.
    fn run_timeslice(&mut self, grant: Grant, wanted_since: u64) {
        let length = if grant == Grant::Borrowed { BORROWED_TIMESLICE } else { TIMESLICE };
        let opened = clock::now();
        loop {
            let elapsed = clock::now().saturating_sub(opened);
            let remaining = length.saturating_sub(elapsed);
            let status = self.poll(remaining, grant, wanted_since);
            let idle = !status.busy && status.now.saturating_sub(status.idle_since.max(opened)) > MAX_IDLE;
            if remaining == 0 || idle {
                break;
            }
            self.scheduler.gate.admit(status.allowance);
            park_timeout(POLL_INTERVAL);
        }
        self.scheduler.gate.shut();
        self.drain(grant, wanted_since);
    }

    /// Waits until the card has done what was let in.
    fn drain(&mut self, grant: Grant, wanted_since: u64) {
        let shut = clock::now();
        let mut since = shut;
        let mut stuck = 1;
        loop {
            let status = self.poll(0, grant, wanted_since);
            if !status.busy || status.unknown && status.now.saturating_sub(shut) > MAX_UNKNOWN {
                self.scheduler.gate.shut();
                return;
            }
            // Work may wait for work that is kept out: a kernel for another one, on this card or on another. So one more is let
            // in now and then, and more and more seldom, as it may just be a long kernel.
            if self.scheduler.gate.has_waiting() && status.now.saturating_sub(since) > status.patience * stuck
            {
                since = status.now;
                stuck *= 2;
                self.scheduler.gate.admit(1);
            }
            park_timeout(HANDOVER_POLL_INTERVAL);
        }
    }

    /// Polls the card and charges what it has done since the last time: a process that is killed has paid by then.
    fn poll(&mut self, remaining: u64, grant: Grant, wanted_since: u64) -> CardStatus {
        let status = self.scheduler.poll(remaining);
        let busy = status.busy_time.saturating_sub(self.charged);
        self.charged = self.charged.max(status.busy_time);
        if busy > 0 {
            self.scheduler.card.counters.busy_ns.fetch_add(busy, Ordering::Relaxed);
            // What nobody else wanted is not owed.
            if grant != Grant::Borrowed {
                self.gcra.charge(wanted_since, busy);
            }
        }
        status
    }
}
