//! How many launches may be queued on the card, so that a time slice ends when it should.
//!
//! A driver takes some thousand launches before it makes a program wait. If they are 100 ms each, a time slice would last minutes.

use super::timeslice::MIN_PATIENCE;

/// Work that is queued at most, in ns, by what launches have taken so far. Less than a time slice, as what is queued when it ends is
/// still done in it; many times the polling interval, as the card must not run dry between two polls.
const MAX_QUEUED_TIME: u64 = 6_000_000;

/// The same where all must be done until more is let in: half of what it costs that the card runs dry.
const MAX_QUEUED_TIME_OF_MEETING: u64 = 12_000_000;

/// Launches that are queued at most: about what a driver takes.
const MAX_QUEUED: u64 = 1024;

/// Launches that a program may make before it is known how long they take: few, as eight of 100 ms would take a second.
const MAX_UNMEASURED: u64 = 2;

/// How long launches take.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    /// The program has more than one card, and what it launches on one may wait for what it launches on another: time that passes does not
    /// say how much is done, and what one card has queued more than the other keeps both from ending their turn.
    meets: bool,
    /// Of one launch, in ns; 0 while it is not known.
    average: u64,
    /// The longest one of late, in ns.
    longest: u64,
}

impl Pacing {
    /// Of a program with so many cards.
    pub(super) fn new(cards: usize) -> Self {
        Self { meets: cards > 1, ..Self::default() }
    }

    /// `launches` have taken `busy` ns.
    pub(super) fn measure(&mut self, busy: u64, launches: u64) {
        let each = (busy / launches.max(1)).max(1);
        // Slower at once, faster by and by: too few queued cost little, too many make the neighbours wait.
        self.average =
            if each >= self.average { each } else { self.average - (self.average - each).div_ceil(4) };
        self.longest = each.max(self.longest - self.longest / 8);
    }

    /// How many more may be launched in a time slice that has `remaining` ns left, where `launches` were made in the `busy` ns since
    /// the card was last idle.
    pub(super) fn allowance(&self, remaining: u64, busy: u64, launches: u64) -> u64 {
        if remaining == 0 {
            return 0;
        }
        if self.average == 0 {
            return MAX_UNMEASURED.saturating_sub(launches);
        }
        // Of what may wait nothing counts as done until all is.
        let done = if self.meets { 0 } else { (busy / self.average).min(launches) };
        let queued = if self.meets { MAX_QUEUED_TIME_OF_MEETING } else { MAX_QUEUED_TIME };
        let most = (queued.min(remaining) / self.average).clamp(1, MAX_QUEUED);
        most.saturating_sub(launches - done)
    }

    /// How long, in ns, nothing may happen before it is taken for a program that cannot go on without launching more.
    pub(super) fn patience(&self) -> u64 {
        (3 * self.longest).max(MIN_PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::super::timeslice::TIMESLICE;
    use super::*;

    #[test]
    fn what_is_queued_is_about_six_milliseconds_and_at_least_one_launch() {
        let mut pacing = Pacing::default();
        assert_eq!(
            (
                pacing.allowance(TIMESLICE, 0, 0),
                pacing.allowance(TIMESLICE, 0, 1),
                pacing.allowance(TIMESLICE, 0, 8)
            ),
            (MAX_UNMEASURED, MAX_UNMEASURED - 1, 0)
        );
        pacing.measure(800_000, 8);
        assert_eq!(pacing.allowance(TIMESLICE, 0, 0), 60);
        assert_eq!(pacing.allowance(TIMESLICE, 0, 60), 0);
        assert_eq!(pacing.allowance(TIMESLICE, 3_000_000, 60), 30, "half of them are done by now");
        pacing.measure(500_000_000, 1);
        assert_eq!((pacing.allowance(TIMESLICE, 0, 0), pacing.allowance(TIMESLICE, 0, 1)), (1, 0));
        assert!(pacing.patience() >= 1_500_000_000);
        for _ in 0..100 {
            pacing.measure(1_000, 100);
        }
        assert_eq!(pacing.allowance(TIMESLICE, 0, 0), MAX_QUEUED);
        assert_eq!(pacing.patience(), MIN_PATIENCE, "what was long ago is forgotten");
    }

    #[test]
    fn what_may_wait_for_another_card_is_done_when_all_is() {
        let mut pacing = Pacing::new(2);
        pacing.measure(1_000_000, 1);
        assert_eq!(pacing.allowance(TIMESLICE, 0, 0), 12);
        assert_eq!(pacing.allowance(TIMESLICE, 4_000_000, 11), 1);
        assert_eq!(pacing.allowance(TIMESLICE, 90_000_000, 12), 0);
    }

    #[test]
    fn no_more_is_taken_for_done_than_was_launched_and_a_time_slice_that_ends_lets_less_in() {
        let mut pacing = Pacing::default();
        pacing.measure(1_000_000, 100);
        // It says 100 are done in this ms, but no more than were launched can be.
        assert_eq!(pacing.allowance(TIMESLICE, 1_000_000, 50), 600);
        assert_eq!(pacing.allowance(100_000, 1_000_000, 50), 10, "the time slice ends soon");
        assert_eq!(pacing.allowance(0, 1_000_000, 50), 0, "it is over");
    }
}
