//! The rate budget: one token bucket for the account, shared by all callers, whose rate is learnt.
//!
//! The true limit of the cloud is not known, so it is found: while callers stand in line the rate grows by a little each second, and
//! what the cloud throttles takes a share of it from everybody at once, after a pause of Retry-After. Until the first throttle reply it
//! grows fast; from then on slowly, since the limit is near.

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

/// One account's budget.
pub struct Budget {
    limits: Limits,
    state: Mutex<State>,
    /// The first in line holds it; the others wait for it in the order in which they came.
    line: tokio::sync::Mutex<()>,
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
            limit: None,
        };
        let (line, waiting) = (tokio::sync::Mutex::new(()), AtomicUsize::new(0));
        Self { limits, state: Mutex::new(state), line, waiting }
    }

    /// Waits for this caller's turn. Callers are served in the order in which they came.
    pub async fn turn(&self) {
        let _waiting = Waiting::of(&self.waiting);
        let _first = self.line.lock().await;
        // The rate may change while we wait, and a throttle reply may come.
        while let Some(at) = self.take() {
            sleep_until(at).await;
        }
    }

    /// Takes a request out; if there is none, when to look again.
    fn take(&self) -> Option<Instant> {
        let mut state = self.refilled();
        let now = Instant::now();
        if state.hold > now {
            return Some(state.hold);
        }
        // What is missing to a whole one by rounding alone is no reason to wait.
        if state.tokens > 1.0 - 1e-9 {
            state.tokens -= 1.0;
            return None;
        }
        Some(now + Duration::from_secs_f64((1.0 - state.tokens) / state.rate))
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
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut state = self.refilled();
        state.rate = (state.rate + state.growth / state.rate).min(self.limits.ceiling);
        if let Some(limit) = state.limit.filter(|limit| state.rate > limit * RAISED) {
            (state.growth, state.limit) = (limit * SEARCH, None);
        }
    }

    /// Requests that wait for their turn now.
    pub fn in_line(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
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
