//! What a launch has to know and to change, in one atomic number: launches so far, launches being made right now, and whether
//! the card works for this process.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bits of the count: at one launch each µs they last for 35 years.
const COUNT_BITS: u32 = 50;
const INSIDE: u64 = 1 << COUNT_BITS;
/// Set while the card works for this process, as far as is known.
const BUSY: u64 = 1 << 63;
const ENTER: u64 = INSIDE + 1;

/// What was read of it at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen(u64);

impl Seen {
    /// Launches so far, those being made included.
    pub(super) fn count(self) -> u64 {
        self.0 & (INSIDE - 1)
    }

    /// Launches that are being made.
    pub(super) fn inside(self) -> bool {
        self.0 & !BUSY >= INSIDE
    }

    pub(super) fn busy(self) -> bool {
        self.0 & BUSY != 0
    }
}

/// The number.
#[derive(Debug, Default)]
pub(super) struct Word(AtomicU64);

impl Word {
    #[inline]
    pub(super) fn look(&self) -> Seen {
        Seen(self.0.load(Ordering::SeqCst))
    }

    /// A launch begins; what was before it.
    #[inline]
    pub(super) fn enter(&self) -> Seen {
        Seen(self.0.fetch_add(ENTER, Ordering::SeqCst))
    }

    /// A launch that began was not made.
    pub(super) fn turn_back(&self) {
        self.0.fetch_sub(ENTER, Ordering::SeqCst);
    }

    /// A launch was made.
    #[inline]
    pub(super) fn leave(&self) {
        self.0.fetch_sub(INSIDE, Ordering::SeqCst);
    }

    /// The card works for this process.
    pub(super) fn begin(&self) {
        self.0.fetch_or(BUSY, Ordering::SeqCst);
    }

    /// The card has done everything that was launched until `seen`. False if something was launched since: then it may work.
    pub(super) fn end(&self, seen: Seen) -> bool {
        let mut now = self.0.load(Ordering::SeqCst);
        loop {
            if Seen(now).count() != seen.count() || Seen(now).inside() || !Seen(now).busy() {
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
        let word = Word::default();
        assert!(!word.enter().busy());
        word.begin();
        let during = word.look();
        assert!(during.inside() && during.busy());
        assert!(!word.end(during), "a launch is being made");
        word.leave();
        let after = word.look();
        word.enter();
        word.leave();
        assert!(!word.end(after), "another was made since");
        let last = word.look();
        word.enter();
        word.turn_back();
        assert!(word.end(last), "one that was turned back is none");
        assert_eq!((word.look().count(), word.look().busy(), word.look().inside()), (2, false, false));
        assert!(!word.end(last), "twice");
    }
}
