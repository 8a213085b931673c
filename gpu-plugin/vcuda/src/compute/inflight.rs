//! Launches in flight on one card, in one atomic number: how many there were so far, how many calls of the driver are being made
//! right now, and whether the card works for this process.

use std::sync::atomic::Ordering;

use crate::sync::AtomicU64;

#[cfg(all(test, loom))]
mod loom_tests;

/// Bits of the count of launches: at one launch each µs they last for 35 years.
const COUNT_BITS: u32 = 50;
/// One call of the driver that is being made.
const CALL: u64 = 1 << COUNT_BITS;
/// Set while the card works for this process, as far as is known.
const BUSY: u64 = 1 << 63;
/// What a launch adds when it begins.
const BEGIN: u64 = CALL + 1;

/// The number at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Snapshot(u64);

impl Snapshot {
    /// Launches so far, those being made included.
    pub(super) fn launches(self) -> u64 {
        self.0 & (CALL - 1)
    }

    /// Whether a call of the driver is being made.
    pub(super) fn is_launching(self) -> bool {
        self.0 & !BUSY >= CALL
    }

    /// Whether the card works for this process.
    pub(super) fn is_busy(self) -> bool {
        self.0 & BUSY != 0
    }
}

/// The number.
#[derive(Debug, Default)]
pub(super) struct Inflight(AtomicU64);

impl Inflight {
    #[inline]
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot(self.0.load(Ordering::SeqCst))
    }

    /// A launch begins; how things were before it.
    #[inline]
    pub(super) fn begin_launch(&self) -> Snapshot {
        Snapshot(self.0.fetch_add(BEGIN, Ordering::SeqCst))
    }

    /// A launch that began was not made.
    pub(super) fn cancel_launch(&self) {
        self.0.fetch_sub(BEGIN, Ordering::SeqCst);
    }

    /// A launch was made.
    #[inline]
    pub(super) fn end_launch(&self) {
        self.0.fetch_sub(CALL, Ordering::SeqCst);
    }

    /// The card works for this process.
    pub(super) fn set_busy(&self) {
        self.0.fetch_or(BUSY, Ordering::SeqCst);
    }

    /// The card has done everything that was launched until `seen`. False if something was launched since: then it may work.
    pub(super) fn set_idle_since(&self, seen: Snapshot) -> bool {
        let mut now = self.0.load(Ordering::SeqCst);
        loop {
            let current = Snapshot(now);
            if current.launches() != seen.launches() || current.is_launching() || !current.is_busy() {
                return false;
            }
            match self.0.compare_exchange_weak(now, now & !BUSY, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_is_idle_only_if_nothing_was_launched_since_it_was_asked() {
        let inflight = Inflight::default();
        assert!(!inflight.begin_launch().is_busy());
        inflight.set_busy();
        let during = inflight.snapshot();
        assert!(during.is_launching() && during.is_busy());
        assert!(!inflight.set_idle_since(during), "a launch is being made");
        inflight.end_launch();
        let after = inflight.snapshot();
        inflight.begin_launch();
        inflight.end_launch();
        assert!(!inflight.set_idle_since(after), "another was made since");
        let last = inflight.snapshot();
        inflight.begin_launch();
        inflight.cancel_launch();
        assert!(inflight.set_idle_since(last), "one that was cancelled is none");
        let end = inflight.snapshot();
        assert_eq!((end.launches(), end.is_busy(), end.is_launching()), (2, false, false));
        assert!(!inflight.set_idle_since(last), "twice");
    }
}
