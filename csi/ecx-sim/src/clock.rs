//! What time it is in the cloud: real, or moved by the test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The cloud's clock, in epoch milliseconds.
#[derive(Debug)]
pub struct Clock {
    /// `Some`: stepped; the time is this.
    stepped: Option<AtomicU64>,
    skew: i64,
}

impl Clock {
    /// A stepped clock starts at the true time and then stands.
    pub fn new(stepped: bool, skew_s: i64) -> Self {
        Self { stepped: stepped.then(|| AtomicU64::new(true_ms())), skew: skew_s * 1000 }
    }

    /// Now.
    pub fn now_ms(&self) -> u64 {
        match &self.stepped {
            Some(ms) => ms.load(Ordering::SeqCst),
            None => true_ms().saturating_add_signed(self.skew),
        }
    }

    /// Moves a stepped clock; a real one moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Some(ms) = &self.stepped {
            ms.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }

    /// How long until `due_ms`; `None` if time stands.
    pub fn until(&self, due_ms: u64) -> Option<Duration> {
        self.stepped.is_none().then(|| Duration::from_millis(due_ms.saturating_sub(self.now_ms())))
    }
}

fn true_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
