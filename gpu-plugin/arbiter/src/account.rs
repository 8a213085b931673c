//! How much of a card's time a container may use: the generic cell rate algorithm (GCRA, ITU-T I.371).
//!
//! An account is one number: when the next work may start. Work of `d` at `p` percent moves it by `d·100/p`.

/// Nanoseconds of the arbiter's clock.
pub(crate) type Time = u64;

/// One container's account of one card.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    percent: u64,
    /// Card time, in ns, that may be used at once after the container wanted none for long.
    burst: u64,
    due: Time,
}

impl Account {
    /// From now on; `percent` from 1 to 100.
    pub(crate) fn new(percent: u32, burst: u64, now: Time) -> Self {
        Self { percent: u64::from(percent.clamp(1, 100)), burst, due: now }
    }

    /// Of the card's time.
    pub(crate) fn percent(&self) -> u64 {
        self.percent
    }

    /// From when on work may start.
    pub(crate) fn entitled_at(&self) -> Time {
        self.due
    }

    /// Charges work of `length` ns that was wanted since `wanted_since`. Time in which the container wanted the card and was kept waiting
    /// by its neighbours is still its own; of time in which it wanted nothing the burst is kept.
    pub(crate) fn charge(&mut self, wanted_since: Time, length: u64) {
        let floor = wanted_since.saturating_sub(self.stretched(self.burst));
        self.due = self.due.max(floor).saturating_add(self.stretched(length));
    }

    /// The debt is no more than so much card time from now on.
    pub(crate) fn bound(&mut self, now: Time, debt: u64) {
        self.due = self.due.min(now.saturating_add(self.stretched(debt)));
    }

    /// How long the share takes to give so much card time.
    fn stretched(&self, length: u64) -> u64 {
        length.saturating_mul(100) / self.percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn work_is_paid_by_the_share() {
        let mut account = Account::new(25, 0, 1_000 * MS);
        account.charge(1_000 * MS, 20 * MS);
        assert_eq!(account.entitled_at(), 1_080 * MS);
    }

    #[test]
    fn idle_time_is_kept_for_a_burst_and_time_lost_to_neighbours_in_full() {
        let mut idle = Account::new(10, 100 * MS, 0);
        idle.charge(10_000 * MS, 40 * MS);
        assert!(idle.entitled_at() < 10_000 * MS, "a request of 40 ms is not stretched");
        idle.charge(10_000 * MS, 80 * MS);
        assert_eq!(idle.entitled_at(), 10_200 * MS, "20 ms more than the burst");
        let mut kept_waiting = Account::new(50, 0, 0);
        kept_waiting.charge(0, 20 * MS);
        kept_waiting.charge(0, 20 * MS);
        assert_eq!(kept_waiting.entitled_at(), 80 * MS, "it wanted all the time");
    }

    #[test]
    fn a_debt_is_bounded_and_an_account_without_one_stays_as_it_is() {
        let mut account = Account::new(10, 0, 0);
        account.charge(0, 1_000 * MS);
        account.bound(1_000 * MS, 40 * MS);
        assert_eq!(account.entitled_at(), 1_400 * MS);
        account.bound(1_390 * MS, 40 * MS);
        assert_eq!(account.entitled_at(), 1_400 * MS);
    }
}
