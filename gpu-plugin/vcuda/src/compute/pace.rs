//! How many launches may be on the way to the card, so that a turn ends when it should.
//!
//! A driver takes some thousand launches before it makes a program wait. If they are 100 ms each, a turn would last minutes.

/// Work on the way at most, by what launches have taken so far. Less than a quantum, as what is on its way when the turn ends is
/// still done in it; many times the time in which the keeper looks, as the card must not run dry between two looks.
const AHEAD: u64 = 6_000_000;

/// Launches on the way at most: about what a driver takes.
const MOST: u64 = 1024;

/// Launches that a program may make before it is known how long they take: few, as eight of 100 ms would be a turn of a second.
const FIRST: u64 = 2;

/// How long launches take.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Of one launch, in ns; 0 while it is not known.
    each: u64,
    /// The longest one of late.
    longest: u64,
}

impl Pace {
    /// `launches` have taken `busy`.
    pub(super) fn learn(&mut self, busy: u64, launches: u64) {
        let each = (busy / launches.max(1)).max(1);
        // Slower at once, faster by and by: too few on the way costs little, too many make the neighbours wait.
        self.each = if each >= self.each { each } else { self.each - (self.each - each).div_ceil(4) };
        self.longest = each.max(self.longest - self.longest / 8);
    }

    /// How many more may be launched in a turn that has `room` left, where `launches` were in the `busy` since the card was last
    /// idle.
    pub(super) fn more(&self, room: u64, busy: u64, launches: u64) -> u64 {
        if room == 0 {
            return 0;
        }
        if self.each == 0 {
            return FIRST.saturating_sub(launches);
        }
        let done = (busy / self.each).min(launches);
        let most = (AHEAD.min(room) / self.each).clamp(1, MOST);
        most.saturating_sub(launches - done)
    }

    /// How long nothing may happen before it is taken for a program that cannot go on without launching more.
    pub(super) fn patience(&self) -> u64 {
        (3 * self.longest).max(super::STUCK)
    }
}

#[cfg(test)]
mod tests {
    use super::super::QUANTUM;
    use super::*;

    #[test]
    fn what_is_on_the_way_is_about_six_milliseconds_and_at_least_one_launch() {
        let mut pace = Pace::default();
        assert_eq!(
            (pace.more(QUANTUM, 0, 0), pace.more(QUANTUM, 0, 1), pace.more(QUANTUM, 0, 8)),
            (FIRST, FIRST - 1, 0)
        );
        pace.learn(800_000, 8);
        assert_eq!(pace.more(QUANTUM, 0, 0), 60);
        assert_eq!(pace.more(QUANTUM, 0, 60), 0);
        assert_eq!(pace.more(QUANTUM, 3_000_000, 60), 30, "half of them are done by now");
        pace.learn(500_000_000, 1);
        assert_eq!((pace.more(QUANTUM, 0, 0), pace.more(QUANTUM, 0, 1)), (1, 0));
        assert!(pace.patience() >= 1_500_000_000);
        for _ in 0..100 {
            pace.learn(1_000, 100);
        }
        assert_eq!(pace.more(QUANTUM, 0, 0), MOST);
        assert_eq!(pace.patience(), super::super::STUCK, "what was long ago is forgotten");
    }

    #[test]
    fn no_more_is_taken_for_done_than_was_launched_and_a_turn_that_ends_lets_less_in() {
        let mut pace = Pace::default();
        pace.learn(1_000_000, 100);
        // It says 100 are done in this ms, but no more than were launched can be.
        assert_eq!(pace.more(QUANTUM, 1_000_000, 50), 600);
        assert_eq!(pace.more(100_000, 1_000_000, 50), 10, "the turn ends soon");
        assert_eq!(pace.more(0, 1_000_000, 50), 0, "it is over");
    }
}
