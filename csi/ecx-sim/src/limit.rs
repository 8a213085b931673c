//! The account's rate, as the gateway enforces it (ecx/API.md B.8): a bucket of requests that fills again.

use serde::{Deserialize, Serialize};

/// A rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests a second, in the long run.
    pub per_second: f64,
    /// Requests at once after a pause.
    pub burst: f64,
}

/// What is left of a rate.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// Requests that may come now, and the epoch ms at which that was so; nothing before the first.
    left: Option<(f64, u64)>,
}

impl Bucket {
    /// Takes one request out at `now`; if there is none, the seconds until there is one.
    pub(crate) fn take(&mut self, rate: Rate, now: u64) -> Result<(), f64> {
        let (left, at) = self.left.unwrap_or((rate.burst, now));
        let gained = now.saturating_sub(at) as f64 / 1000.0 * rate.per_second;
        let left = (left + gained).min(rate.burst);
        // A caller that keeps the rate to the millisecond is not refused for a rounding.
        let taken = left >= 1.0 - rate.per_second / 1000.0;
        self.left = Some((if taken { left - 1.0 } else { left }, now));
        if taken { Ok(()) } else { Err((1.0 - left) / rate.per_second) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rate = Rate { per_second: 10.0, burst: 20.0 };
        let mut bucket = Bucket::default();
        let passed = |bucket: &mut Bucket, now| (0..100).filter(|_| bucket.take(rate, now).is_ok()).count();
        assert_eq!(passed(&mut bucket, 0), 20);
        assert_eq!(passed(&mut bucket, 50), 0);
        assert_eq!(passed(&mut bucket, 1000), 10);
        let wait = bucket.take(rate, 1000).unwrap_err();
        assert!((wait - 0.1).abs() < 0.01, "{wait}");
        assert_eq!(passed(&mut bucket, 60_000), 20);
    }
}
