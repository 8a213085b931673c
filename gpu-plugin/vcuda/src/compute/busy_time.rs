//! How long a card has worked for this process: from the first launch on an idle card to the moment at which it is seen to be idle.

/// How long before it is seen to be idle a card may have become so, in ns: about a polling interval. A poll that comes later was kept
/// waiting, and most of all by a program that asks the driver in a loop and so holds the driver's lock: it gives the lock away when the
/// card is done, and half of the time since the poll before would be far too early.
const LONGEST_UNSEEN: u64 = 100_000;

/// Times are ns of the clock that all containers share.
#[derive(Debug, Default)]
pub(super) struct BusyTime {
    /// Since when it works.
    since: u64,
    /// How many launches there had been before.
    launches_before: u64,
    /// When it was last seen at work.
    seen_busy: u64,
    /// When it was last known to be idle.
    idle_since: u64,
    /// Time that it has worked, up to `idle_since`.
    total: u64,
}

impl BusyTime {
    /// An idle card gets its first launch.
    pub(super) fn begin(&mut self, now: u64, launches_before: u64) {
        self.since = now;
        self.seen_busy = now;
        self.launches_before = launches_before;
    }

    /// It was seen at work.
    pub(super) fn still_busy(&mut self, now: u64) {
        self.seen_busy = now;
    }

    /// It was seen to be idle, which it has been for a while: half of the time since it was seen at work is right on average, but no
    /// longer than [`LONGEST_UNSEEN`].
    pub(super) fn estimated_end(&self, now: u64) -> u64 {
        self.seen_busy.midpoint(now).max(now.saturating_sub(LONGEST_UNSEEN))
    }

    /// It has been idle since a moment, after so many launches in all; for how long it had worked, and at how many launches.
    pub(super) fn end(&mut self, at: u64, launches: u64) -> (u64, u64) {
        let worked = self.running(at, launches);
        self.total += worked.0;
        self.idle_since = at;
        worked
    }

    /// For how long it has worked by now, and at how many launches.
    pub(super) fn running(&self, now: u64, launches: u64) -> (u64, u64) {
        (now.saturating_sub(self.since), launches.saturating_sub(self.launches_before))
    }

    /// Time that it has worked, up to when it was last known to be idle.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// When it was last known to be idle.
    pub(super) fn idle_since(&self) -> u64 {
        self.idle_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_from_the_first_launch_to_the_end_and_no_idle_time() {
        let mut time = BusyTime::default();
        time.begin(100, 0);
        assert_eq!(time.running(130, 3), (30, 3));
        assert_eq!(time.end(150, 4), (50, 4));
        time.begin(1_000, 4);
        assert_eq!(time.end(1_020, 5), (20, 1));
        assert_eq!((time.total(), time.idle_since()), (70, 1_020));
    }

    #[test]
    fn the_end_is_estimated_between_two_polls() {
        let mut time = BusyTime::default();
        time.begin(100, 0);
        time.still_busy(200);
        assert_eq!(time.estimated_end(300), 250);
    }

    #[test]
    fn a_poll_that_was_kept_waiting_makes_no_work_free() {
        let mut time = BusyTime::default();
        time.begin(0, 0);
        assert_eq!(time.estimated_end(200_000), 100_000);
        assert_eq!(time.estimated_end(2_000_000), 1_900_000);
    }
}
