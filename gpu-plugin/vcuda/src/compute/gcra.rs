//! How much of a card's time a container may use: the generic cell rate algorithm (GCRA, ITU-T I.371) over one number that its
//! processes share.
//!
//! The number is the theoretical arrival time: when the next work may start. Work of `d` at `p` percent moves it by `d·100/p`. It is
//! changed by one atomic step, so it is valid wherever a process is killed.

use std::sync::atomic::Ordering;

use super::timeslice::TIMESLICE;
use crate::sync::AtomicU64;

/// The rate at which one container may use one card.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gcra {
    tat: &'static AtomicU64,
    percent: u64,
}

impl Gcra {
    pub(super) fn new(tat: &'static AtomicU64, percent: u32) -> Self {
        Self { tat, percent: u64::from(percent.clamp(1, 100)) }
    }

    /// Nothing is owed now.
    pub(super) fn forgive(&self, now: u64) {
        self.tat.fetch_min(now, Ordering::AcqRel);
    }

    /// How long until work may start; 0 if it may now.
    pub(super) fn delay(&self, now: u64) -> u64 {
        self.tat.load(Ordering::Acquire).saturating_sub(now)
    }

    /// Charges work that took `busy` ns and was wanted since `wanted_since`. Time in which the container wanted the card and was kept
    /// waiting by its neighbours is still its own; time in which it wanted nothing is kept for one time slice only.
    pub(super) fn charge(&self, wanted_since: u64, busy: u64) {
        let floor = wanted_since.saturating_sub(TIMESLICE);
        let cost = busy.saturating_mul(100) / self.percent;
        let next = |tat: u64| Some(tat.max(floor).saturating_add(cost));
        let _always = self.tat.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gcra(percent: u32) -> Gcra {
        Gcra::new(Box::leak(Box::new(AtomicU64::new(0))), percent)
    }

    const START: u64 = 1_000 * TIMESLICE;

    #[test]
    fn one_that_always_wants_gets_its_share_whatever_its_time_slices_are_like() {
        for percent in [1, 10, 25, 50, 75, 99] {
            for length in [TIMESLICE / 2_000, TIMESLICE, 25 * TIMESLICE] {
                let gcra = gcra(percent);
                let (mut now, mut busy) = (START, 0);
                // 90 µs late at each start, as a woken thread is.
                while now < START + 100_000 * TIMESLICE {
                    now += gcra.delay(now) + 90_000;
                    gcra.charge(START, length);
                    now += length;
                    busy += length;
                }
                let got = busy as f64 * 100.0 / (now - START) as f64;
                // Where time slices are shorter than the lateness allows, the card itself is what limits.
                let most = length as f64 * 100.0 / (length + 90_000) as f64;
                let want = f64::from(percent).min(most);
                assert!((got - want).abs() < 0.2, "{percent} % in time slices of {length}: {got}");
            }
        }
    }

    #[test]
    fn idle_time_is_kept_for_one_time_slice_and_time_lost_to_neighbours_in_full() {
        let idle = gcra(50);
        idle.charge(START, TIMESLICE);
        assert_eq!(idle.delay(START), TIMESLICE, "a time slice at half is two, less the one kept");

        let kept_waiting = gcra(50);
        kept_waiting.charge(START, TIMESLICE);
        // It wanted all the time, but its time slice came ten lengths late: all ten are its own.
        let late = START + 11 * TIMESLICE;
        kept_waiting.charge(START, 5 * TIMESLICE);
        assert_eq!(kept_waiting.delay(late), 0);
        kept_waiting.charge(START, TIMESLICE / 2);
        assert_eq!(kept_waiting.delay(late), TIMESLICE);
    }

    #[test]
    fn what_is_forgiven_is_owed_no_more_and_what_was_not_owed_stays() {
        let gcra = gcra(10);
        gcra.charge(START, TIMESLICE);
        gcra.forgive(START);
        assert_eq!(gcra.delay(START), 0);
        gcra.forgive(START + TIMESLICE);
        assert_eq!(gcra.delay(START - 1), 1);
    }

    #[test]
    fn a_damaged_number_makes_wait_and_never_panics() {
        let gcra = gcra(1);
        gcra.charge(u64::MAX, u64::MAX);
        assert_eq!(gcra.delay(0), u64::MAX);
        gcra.charge(0, u64::MAX);
        assert_eq!(gcra.delay(u64::MAX), 0);
    }
}
