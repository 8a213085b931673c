//! The thread that runs the time slices of one card for this process: it asks the node's arbiter for one, lets launches in for as long as
//! is granted, waits until the card is done, and says so. While there is no arbiter the container keeps to its percent by itself.

use std::sync::atomic::Ordering;
use std::thread::park_timeout;
use std::time::Duration;

use ideal_gpu::arbiter_protocol::Grant;

use super::arbiter::{Answer, Arbiter};
use super::card_scheduler::{CardScheduler, CardStatus};
use super::clock;
use super::gcra::Gcra;
use super::timeslice::TIMESLICE;

/// How often the card is polled during a time slice: half a percent of its length.
const POLL_INTERVAL: Duration = Duration::from_micros(100);

/// How often it is polled when the time slice is over: the card may do nothing in between.
const HANDOVER_POLL_INTERVAL: Duration = Duration::from_micros(50);

/// How long, in ns, a card may be idle until the time slice ends early: longer than a program takes from the end of a kernel to the
/// launch of the next one, and a percent of a time slice.
const MAX_IDLE: u64 = 200_000;

/// How long an answer of the arbiter is waited for before the connection is looked after.
const WAIT: Duration = Duration::from_millis(100);

/// How long, in ns, a grant is waited for at most while the share allows one: an arbiter that does not answer is none.
const MAX_WAIT: u64 = 2_000_000_000;

/// How long, in ns, what is on the card is waited for while it cannot be asked, as a graph is being captured.
const MAX_UNKNOWN: u64 = TIMESLICE;

/// What may be launched.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// Number of the arbiter's grant; `None`: by the container's own account.
    grant: Option<u64>,
    opened: u64,
    until: u64,
    /// The number of the last launch.
    last_launch: u64,
    /// Work, in ns, that may be queued.
    ahead: u64,
}

/// Runs for ever.
pub(super) fn run(scheduler: &'static CardScheduler) {
    // SAFETY: two numbers. Timers are then exact to 1 µs; by default each poll would be 50 µs late.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000) };
    scheduler.gate.register_timeslice_thread();
    let mut thread = TimesliceThread {
        scheduler,
        gcra: Gcra::new(scheduler.card.counters.tat, scheduler.card.core_percent),
        arbiter: Arbiter::new(scheduler.card.index, &scheduler.arbiter_descriptor),
        asked: false,
        charged: 0,
    };
    let mut last_end = 0;
    let mut wanted_since = 0;
    loop {
        scheduler.gate.sleep_until_one_waits();
        let now = clock::now();
        // A program that comes back at once has wanted the card all the time.
        if now.saturating_sub(last_end) > MAX_IDLE {
            wanted_since = now;
        }
        let open = thread.acquire();
        scheduler.card.counters.throttled_ns.fetch_add(clock::now().saturating_sub(now), Ordering::Relaxed);
        thread.run_timeslice(open, wanted_since);
        last_end = clock::now();
    }
}

struct TimesliceThread {
    scheduler: &'static CardScheduler,
    gcra: Gcra,
    arbiter: Arbiter,
    /// The arbiter knows that a launch waits.
    asked: bool,
    /// How much of the card's time for this process was charged.
    charged: u64,
}

impl TimesliceThread {
    /// Waits for a time slice.
    fn acquire(&mut self) -> Open {
        let mut since = clock::now();
        loop {
            self.asked = self.asked || self.arbiter.want();
            let answer = if self.asked { self.arbiter.wait(WAIT) } else { Answer::Away };
            let now = clock::now();
            match answer {
                Answer::Granted(grant) if grant.length_ns == 0 => {
                    self.asked = self.arbiter.done(grant.grant, true);
                }
                Answer::Granted(grant) => {
                    // Whoever decides has said that nothing is owed.
                    self.gcra.forgive(now);
                    return self.open(grant);
                }
                Answer::Nothing if self.gcra.delay(now) > 0 => since = now,
                Answer::Nothing if now.saturating_sub(since) > MAX_WAIT => return self.own(),
                Answer::Nothing => {}
                Answer::Away => {
                    self.asked = false;
                    match self.gcra.delay(now) {
                        0 => return self.own(),
                        wait => park_timeout(Duration::from_nanos(wait).min(WAIT / 2)),
                    }
                }
            }
        }
    }

    fn open(&self, grant: Grant) -> Open {
        let (now, launches) = (clock::now(), self.scheduler.gate.inflight().snapshot().launches());
        let more = if grant.launches == 0 { u64::MAX } else { grant.launches.into() };
        Open {
            grant: Some(grant.grant),
            opened: now,
            until: now.saturating_add(grant.length_ns),
            last_launch: launches.saturating_add(more),
            ahead: grant.ahead_ns,
        }
    }

    /// By the container's own account.
    fn own(&self) -> Open {
        let now = clock::now();
        Open { grant: None, opened: now, until: now + TIMESLICE, last_launch: u64::MAX, ahead: u64::MAX }
    }

    /// One time slice.
    fn run_timeslice(&mut self, mut open: Open, wanted_since: u64) {
        loop {
            self.run_open(&mut open, wanted_since);
            self.scheduler.gate.shut();
            match self.drain(&mut open, wanted_since) {
                Some(grant) => open = self.open(grant),
                None => break,
            }
        }
        if let Some(grant) = open.grant {
            let wants = self.scheduler.gate.has_waiting();
            self.asked = self.arbiter.done(grant, wants) && wants;
        }
    }

    /// Lets launches in until the time slice is over, or the program has nothing to do.
    fn run_open(&mut self, open: &mut Open, wanted_since: u64) {
        loop {
            if let Answer::Granted(grant) = self.arbiter.look() {
                *open = self.open(grant);
            }
            let remaining = open.until.saturating_sub(clock::now());
            let status = self.poll(remaining.min(open.ahead), wanted_since);
            let left = open.last_launch.saturating_sub(self.scheduler.gate.inflight().snapshot().launches());
            let idle =
                !status.busy && status.now.saturating_sub(status.idle_since.max(open.opened)) > MAX_IDLE;
            if remaining == 0 || left == 0 || idle {
                return;
            }
            self.scheduler.gate.admit(status.allowance.min(left));
            park_timeout(POLL_INTERVAL);
        }
    }

    /// Waits until the card has done what was let in; or gives what the arbiter grants meanwhile.
    fn drain(&mut self, open: &mut Open, wanted_since: u64) -> Option<Grant> {
        let shut = clock::now();
        let mut since = shut;
        let mut stuck = 1;
        loop {
            match self.arbiter.look() {
                Answer::Granted(grant) if grant.length_ns > 0 => return Some(grant),
                Answer::Granted(grant) => open.grant = Some(grant.grant),
                Answer::Nothing | Answer::Away => {}
            }
            let status = self.poll(0, wanted_since);
            if !status.busy || status.unknown && status.now.saturating_sub(shut) > MAX_UNKNOWN {
                self.scheduler.gate.shut();
                return None;
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
    fn poll(&mut self, remaining: u64, wanted_since: u64) -> CardStatus {
        let status = self.scheduler.poll(remaining);
        let busy = status.busy_time.saturating_sub(self.charged);
        self.charged = self.charged.max(status.busy_time);
        if busy > 0 {
            self.scheduler.card.counters.busy_ns.fetch_add(busy, Ordering::Relaxed);
            self.gcra.charge(wanted_since, busy);
        }
        status
    }
}
