//! The rate budget: one token bucket for the account and an adaptive factor, shared by all callers.
//!
//! A throttle reply halves the rate of everybody at once and holds everybody for Retry-After; each success gives a little
//! back. The true limit of the cloud is not known, so it is found.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until};

/// The rate never falls below this share of the configured one: otherwise recovery would take hours.
const FLOOR: f64 = 0.05;

/// A success gives back this share of the configured rate: from half to whole in ten successes.
const RECOVERY: f64 = 0.05;

/// One account's budget.
pub struct Budget {
    rate: f64,
    burst: f64,
    state: Mutex<State>,
}

struct State {
    /// Requests that may go now; negative while callers wait in line.
    tokens: f64,
    /// When `tokens` was true.
    at: Instant,
    /// Share of the configured rate that is used now.
    factor: f64,
    /// Nobody sends before this.
    hold: Instant,
}

impl Budget {
    /// `rate` requests per second, `burst` at once after a pause.
    pub fn new(rate: f64, burst: f64) -> Self {
        let now = Instant::now();
        let state = State { tokens: burst, at: now, factor: 1.0, hold: now };
        Self { rate: rate.max(0.001), burst: burst.max(1.0), state: Mutex::new(state) }
    }

    /// Waits for this caller's turn. Callers are served in the order in which they came.
    pub async fn turn(&self) {
        let at = {
            let mut state = self.refilled();
            state.tokens -= 1.0;
            let wait = (-state.tokens).max(0.0) / (self.rate * state.factor);
            (state.at + Duration::from_secs_f64(wait)).max(state.hold)
        };
        sleep_until(at).await;
        // A throttle reply may have come while we stood in line.
        loop {
            let hold = self.state.lock().hold;
            if hold <= Instant::now() {
                return;
            }
            sleep_until(hold).await;
        }
    }

    /// The cloud throttled us: everybody waits and the rate halves.
    pub fn throttled(&self, retry_after: Option<Duration>) {
        let mut state = self.refilled();
        let now = state.at;
        // Replies to requests that were under way together count once.
        if state.hold <= now {
            state.factor = (state.factor / 2.0).max(FLOOR);
        }
        let pause = retry_after.unwrap_or(Duration::from_secs(1));
        state.hold = state.hold.max(now + pause);
        state.tokens = state.tokens.min(0.0);
    }

    /// The cloud took a request.
    pub fn succeeded(&self) {
        let mut state = self.state.lock();
        state.factor = (state.factor + RECOVERY).min(1.0);
    }

    /// Requests that wait for their turn now.
    pub fn in_line(&self) -> f64 {
        (-self.refilled().tokens).max(0.0)
    }

    /// Share of the configured rate that is used now, 0 to 1; a metric.
    pub fn factor(&self) -> f64 {
        self.state.lock().factor
    }

    fn refilled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        let now = Instant::now();
        let gained = (now - state.at).as_secs_f64() * self.rate * state.factor;
        state.tokens = (state.tokens + gained).min(self.burst);
        state.at = now;
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let budget = Budget::new(10.0, 20.0);
        let start = Instant::now();
        for _ in 0..20 {
            budget.turn().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            budget.turn().await;
        }
        let elapsed = start.elapsed().as_millis();
        assert!((990..=1020).contains(&elapsed), "{elapsed}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_throttle_reply_slows_everybody_and_successes_recover() {
        let budget = Budget::new(10.0, 20.0);
        budget.throttled(Some(Duration::from_secs(3)));
        budget.throttled(Some(Duration::from_secs(3)));
        assert!((budget.factor() - 0.5).abs() < 1e-9, "two replies of one flight count once");
        let start = Instant::now();
        budget.turn().await;
        assert!(start.elapsed() >= Duration::from_secs(3));
        for _ in 0..10 {
            budget.succeeded();
        }
        assert!((budget.factor() - 1.0).abs() < 1e-9);
    }
}
