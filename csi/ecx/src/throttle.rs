//! The rate budget: one token bucket for the account, shared by all callers, whose rate is learnt.
//!
//! The true limit of the cloud is not known, so it is found: while callers stand in line the rate grows by a little each second, and
//! what the cloud throttles takes a share of it from everybody at once, after a pause of Retry-After. Until the first throttle reply it
//! grows fast; from then on slowly, since the limit is near.
//!
//! Requests to regions that do not work have low priority: they come again and again, and would otherwise take the turns of those that do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until};

/// Before any throttle reply the rate grows each second by this share of the rate that it began with: from 10 to the ceiling of 100 in
/// 18 s, and a burst of the cloud's hides at most some seconds of it.
const SEARCH: f64 = 0.5;

/// After one it grows each second by this share of the rate at which the cloud throttled: some ten seconds from one throttle reply to
/// the next, so that they are one in a hundred.
const PROBE: f64 = 0.02;

/// What the first throttle reply leaves of the rate: it had grown fast, and is well above the limit.
const OVERSHOT: f64 = 0.5;

/// What a later one leaves: the rate was near the limit.
const NEAR: f64 = 0.8;

/// A rate that has grown to this many times that at which the cloud last throttled is near no limit any more: it has been raised.
const RAISED: f64 = 1.5;

/// Of the requests that may go at once so large a share is kept from those of low priority.
const KEPT: f64 = 0.5;

/// Of the rate, what requests of low priority have whatever the others do.
const LOW_SHARE: f64 = 0.05;

/// Without Retry-After.
const PAUSE: Duration = Duration::from_secs(1);

/// Requests a second, and at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The rate to begin with.
    pub start: f64,
    /// It never falls below: otherwise recovery would take hours.
    pub floor: f64,
    /// It never grows beyond.
    pub ceiling: f64,
    /// Requests that may go at once after a pause.
    pub burst: f64,
}

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// In the order in which they came.
    Normal,
    /// What the others leave, and a small share whatever they do.
    Low,
}

/// One account's budget.
pub struct Budget {
    limits: Limits,
    state: Mutex<State>,
    normal: Line,
    low: Line,
}

/// Those that wait for their turn.
#[derive(Default)]
struct Line {
    /// The first holds it; the others wait for it in the order in which they came.
    first: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
}

struct State {
    /// Requests a second.
    rate: f64,
    /// By how much the rate grows in a second.
    growth: f64,
    /// Requests that may go now.
    tokens: f64,
    /// When `tokens` was true.
    at: Instant,
    /// Nobody sends before this.
    hold: Instant,
    /// When a request of low priority went last.
    low: Instant,
    /// The rate at which the cloud throttled last; none while nothing tells where the limit is.
    limit: Option<f64>,
}

/// One that stands in line, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Budget {
    /// Nothing is learnt yet. A start outside of floor and ceiling moves them.
    pub fn new(limits: Limits) -> Self {
        let start = limits.start.max(0.001);
        let (floor, ceiling) = (limits.floor.min(start), limits.ceiling.max(start));
        let limits = Limits { start, floor, ceiling, burst: limits.burst.max(1.0) };
        let now = Instant::now();
        let state = State {
            rate: start,
            growth: start * SEARCH,
            tokens: limits.burst,
            at: now,
            hold: now,
            low: now,
            limit: None,
        };
        Self { limits, state: Mutex::new(state), normal: Line::default(), low: Line::default() }
    }

    /// Waits for this caller's turn. Callers of one priority are served in the order in which they came.
    pub async fn turn(&self, priority: Priority) {
        let line = match priority {
            Priority::Normal => &self.normal,
            Priority::Low => &self.low,
        };
        let _waiting = Waiting::of(&line.waiting);
        let _first = line.first.lock().await;
        // The rate may change while we wait, and a throttle reply may come.
        while let Some(at) = self.take(priority) {
            sleep_until(at).await;
        }
    }

    /// Takes a request out; if there is none, when to look again.
    fn take(&self, priority: Priority) -> Option<Instant> {
        let mut state = self.refilled();
        let now = Instant::now();
        if state.hold > now {
            return Some(state.hold);
        }
        let due = state.low + Duration::from_secs_f64(1.0 / (state.rate * LOW_SHARE));
        let low = priority == Priority::Low && due > now;
        if low && self.normal.waiting.load(Ordering::Relaxed) > 0 {
            return Some(due);
        }
        let needed = if low { 1.0 + KEPT * (self.limits.burst - 1.0) } else { 1.0 };
        // What is missing to a whole one by rounding alone is no reason to wait.
        if state.tokens > needed - 1e-9 {
            state.tokens -= 1.0;
            if priority == Priority::Low {
                state.low = now;
            }
            return None;
        }
        let there = now + Duration::from_secs_f64((needed - state.tokens) / state.rate);
        Some(if low { there.min(due) } else { there })
    }

    /// The cloud throttled us: everybody waits, and the rate falls.
    pub fn throttled(&self, retry_after: Option<Duration>) {
        let mut state = self.refilled();
        let now = Instant::now();
        // Replies to requests that were under way together count once.
        if state.hold <= now {
            let left = if state.limit.is_some() { NEAR } else { OVERSHOT };
            (state.growth, state.limit) = (state.rate * PROBE, Some(state.rate));
            state.rate = (state.rate * left).max(self.limits.floor);
        }
        state.hold = state.hold.max(now + retry_after.unwrap_or(PAUSE));
        state.tokens = state.tokens.min(0.0);
    }

    /// The cloud took a request. Only where callers stand in line does that tell of the limit.
    pub fn succeeded(&self) {
        if self.normal.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut state = self.refilled();
        state.rate = (state.rate + state.growth / state.rate).min(self.limits.ceiling);
        if let Some(limit) = state.limit.filter(|limit| state.rate > limit * RAISED) {
            (state.growth, state.limit) = (limit * SEARCH, None);
        }
    }

    /// Requests that wait for their turn now, but for those of low priority.
    pub fn in_line(&self) -> usize {
        self.normal.waiting.load(Ordering::Relaxed)
    }

    /// Requests a second that are allowed now; a metric.
    pub fn rate(&self) -> f64 {
        self.state.lock().rate
    }

    fn refilled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        let now = Instant::now();
        // Nothing is gained while nobody may send: what gathers there would go at once afterwards.
        let since = state.at.max(state.hold);
        let gained = now.saturating_duration_since(since).as_secs_f64() * state.rate;
        state.tokens = (state.tokens + gained).min(self.limits.burst);
        state.at = now;
        state
    }
}

#[cfg(test)]
mod tests;
