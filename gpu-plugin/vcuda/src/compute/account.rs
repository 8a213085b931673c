//! What a container has used of a card, and when it may use more: one number that its processes share.
//!
//! The number is when the next work may start. Work of `d` at `p` percent moves it by `d·100/p` (GCRA, ITU-T I.371). It is
//! changed by one atomic step, so it is valid wherever a process is killed.

use std::sync::atomic::{AtomicU64, Ordering};

use super::QUANTUM;

/// One container's account of one card.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    tat: &'static AtomicU64,
    percent: u64,
}

impl Account {
    pub(super) fn new(tat: &'static AtomicU64, percent: u32) -> Self {
        Self { tat, percent: u64::from(percent.clamp(1, 100)) }
    }

    /// How long until work may start; 0 if it may now.
    pub(super) fn wait(&self, now: u64) -> u64 {
        self.tat.load(Ordering::Acquire).saturating_sub(now)
    }

    /// Charges work that was wanted since `wanted`. Time in which the container wanted and was kept waiting by its neighbours is
    /// still its own; time in which it wanted nothing is kept for one quantum only.
    pub(super) fn charge(&self, wanted: u64, busy: u64) {
        let floor = wanted.saturating_sub(QUANTUM);
        let cost = busy.saturating_mul(100) / self.percent;
        let next = |tat: u64| Some(tat.max(floor).saturating_add(cost));
        let _always = self.tat.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(percent: u32) -> Account {
        Account::new(Box::leak(Box::new(AtomicU64::new(0))), percent)
    }

    const START: u64 = 1_000 * QUANTUM;

    #[test]
    fn one_that_always_wants_gets_its_share_whatever_its_turns_are_like() {
        for percent in [1, 10, 25, 50, 75, 99] {
            for length in [QUANTUM / 2_000, QUANTUM, 25 * QUANTUM] {
                let account = account(percent);
                let (mut now, mut busy) = (START, 0);
                // 90 µs late at each start, as a woken thread is.
                while now < START + 100_000 * QUANTUM {
                    now += account.wait(now) + 90_000;
                    account.charge(START, length);
                    now += length;
                    busy += length;
                }
                let got = busy as f64 * 100.0 / (now - START) as f64;
                // Where turns are shorter than the lateness allows, the card itself is what limits.
                let most = length as f64 * 100.0 / (length + 90_000) as f64;
                let want = f64::from(percent).min(most);
                assert!((got - want).abs() < 0.2, "{percent} % in turns of {length}: {got}");
            }
        }
    }

    #[test]
    fn idle_time_is_kept_for_one_quantum_and_time_lost_to_neighbours_in_full() {
        let idle = account(50);
        idle.charge(START, QUANTUM);
        assert_eq!(idle.wait(START), QUANTUM, "a quantum at half is two, less the one kept");

        let kept_waiting = account(50);
        kept_waiting.charge(START, QUANTUM);
        // It wanted all the time, but its turn came ten quanta late: all ten are its own.
        let late = START + 11 * QUANTUM;
        kept_waiting.charge(START, 5 * QUANTUM);
        assert_eq!(kept_waiting.wait(late), 0);
        kept_waiting.charge(START, QUANTUM / 2);
        assert_eq!(kept_waiting.wait(late), QUANTUM);
    }

    #[test]
    fn a_damaged_account_makes_wait_and_never_panics() {
        let account = account(1);
        account.charge(u64::MAX, u64::MAX);
        assert_eq!(account.wait(0), u64::MAX);
        account.charge(0, u64::MAX);
        assert_eq!(account.wait(u64::MAX), 0);
    }
}
