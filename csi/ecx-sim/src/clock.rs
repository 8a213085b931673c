//! What time it is in the cloud: real, moved by the test, or the caller's tokio runtime's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Where a clock that follows a runtime begins: any day will do that is always the same, 2026-01-01.
const EPOCH_MS: u64 = 1_767_225_600_000;

/// The cloud's clock, in epoch milliseconds.
#[derive(Debug)]
pub struct Clock {
    kind: ClockKind,
    skew: i64,
}

#[derive(Debug)]
enum ClockKind {
    /// The machine's.
    True,
    /// Stands at this time.
    Stepped(AtomicU64),
    /// Goes with the runtime's clock, which may be paused. One runtime after the other may carry it on.
    Followed(Mutex<Followed>),
}

#[derive(Debug)]
struct Followed {
    /// The time at the last call of [`Clock::follow`].
    ms: u64,
    since: Option<Instant>,
}

impl Clock {
    /// A stepped clock starts at the true time and then stands.
    pub fn new(stepped: bool, skew_s: i64) -> Self {
        let kind = if stepped { ClockKind::Stepped(AtomicU64::new(true_ms())) } else { ClockKind::True };
        Self { kind, skew: skew_s * 1000 }
    }

    /// A clock that stands until [`Self::follow`].
    pub fn followed() -> Self {
        Self { kind: ClockKind::Followed(Mutex::new(Followed { ms: EPOCH_MS, since: None })), skew: 0 }
    }

    /// From now on the time goes with the clock of the runtime of the caller.
    pub fn follow(&self) {
        if let ClockKind::Followed(followed) = &self.kind {
            followed.lock().since = Some(Instant::now());
        }
    }

    /// The runtime ends: the time stands until another one is followed.
    pub fn stand(&self) {
        if let ClockKind::Followed(followed) = &self.kind {
            let mut followed = followed.lock();
            (followed.ms, followed.since) = (followed.now_ms(), None);
        }
    }

    /// Now.
    pub fn now_ms(&self) -> u64 {
        match &self.kind {
            ClockKind::Stepped(ms) => ms.load(Ordering::SeqCst),
            ClockKind::Followed(followed) => followed.lock().now_ms(),
            ClockKind::True => true_ms().saturating_add_signed(self.skew),
        }
    }

    /// Moves a stepped clock; others move by themselves.
    pub fn advance(&self, by: Duration) {
        if let ClockKind::Stepped(ms) = &self.kind {
            ms.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// How long until `due_ms`; `None` if time stands.
    pub fn until(&self, due_ms: u64) -> Option<Duration> {
        let moves = !matches!(self.kind, ClockKind::Stepped(_));
        moves.then(|| Duration::from_millis(due_ms.saturating_sub(self.now_ms())))
    }
}

impl Followed {
    fn now_ms(&self) -> u64 {
        self.ms + self.since.map_or(0, |since| millis(since.elapsed()))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn true_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    millis(since)
}
