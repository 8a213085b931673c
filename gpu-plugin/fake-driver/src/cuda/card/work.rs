//! The time of a card. All processes that have work on it share it in equal parts, as a card does that gives each in turn a slice of some
//! milliseconds; of one process everything is done in the order in which it was given.
//!
//! Nobody runs in between: how far the card has come is reckoned when somebody asks.

use std::sync::atomic::Ordering;

use super::{Card, RECKONED, SumsLock, USED_RECORDS};

impl Card {
    /// Gives the card so many ns of work.
    pub(crate) fn submit(&self, now: u64, length: u64) {
        let (given, done) = (self.given(self.record), self.done(self.record));
        let left = given.load(Ordering::SeqCst).saturating_sub(done.load(Ordering::SeqCst));
        // What has nothing to do does not work off what it is given later: until now it is reckoned first.
        if left <= now.saturating_sub(self.number(RECKONED).load(Ordering::SeqCst)) {
            self.reckon(now);
        }
        given.fetch_add(length, Ordering::SeqCst);
    }

    /// Whether the first so many ns of this process's work are done.
    pub(crate) fn has_done(&self, work: u64, now: u64) -> bool {
        let left = self.left(work);
        if left == 0 || left > now.saturating_sub(self.number(RECKONED).load(Ordering::SeqCst)) {
            return left == 0;
        }
        self.reckon(now);
        self.left(work) == 0
    }

    /// How many of the first so many ns of this process's work are left.
    pub(crate) fn left(&self, work: u64) -> u64 {
        work.saturating_sub(self.done(self.record).load(Ordering::SeqCst))
    }

    /// All work that this process has given, in ns.
    pub(crate) fn all_given(&self) -> u64 {
        self.given(self.record).load(Ordering::SeqCst)
    }

    /// This process's kernel waits on the card for another one's, or does so no more.
    pub(crate) fn set_meets(&self, meets: bool, now: u64) {
        if (self.meets(self.record).load(Ordering::SeqCst) != 0) != meets {
            self.reckon(now);
            self.meets(self.record).store(meets.into(), Ordering::SeqCst);
        }
    }

    /// Reckons what the card has done until now.
    fn reckon(&self, now: u64) {
        let _among_threads = self.sums_thread.lock();
        let _among_processes = SumsLock::new(&self.sums_file);
        let mut at = self.number(RECKONED).load(Ordering::SeqCst);
        if now <= at {
            return;
        }
        // Each with the work that is left of it; one that waits for another has no end.
        let mut on: Vec<(usize, u64)> = self.working().collect();
        while at < now {
            let Some(least) = on.iter().map(|(_, left)| *left).min() else { break };
            let each = least.min((now - at) / on.len() as u64);
            if each == 0 {
                break;
            }
            for (record, left) in &mut on {
                if *left != u64::MAX {
                    *left -= each;
                    self.done(*record).fetch_add(each, Ordering::SeqCst);
                }
            }
            at += each * on.len() as u64;
            on.retain(|(_, left)| *left > 0);
        }
        self.number(RECKONED).store(now, Ordering::SeqCst);
    }

    fn working(&self) -> impl Iterator<Item = (usize, u64)> {
        let used = usize::try_from(self.number(USED_RECORDS).load(Ordering::SeqCst)).unwrap_or_default();
        let left = |record: usize| {
            let given = self.given(record).load(Ordering::SeqCst);
            let left = given.saturating_sub(self.done(record).load(Ordering::SeqCst));
            let meets = left == 0 && self.meets(record).load(Ordering::SeqCst) != 0;
            (record, if meets { u64::MAX } else { left })
        };
        (0..used).map(left).filter(|(record, left)| *left > 0 && self.lives(*record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::testing::Machine;

    #[test]
    fn work_takes_its_time_one_after_the_other() {
        let card = Machine::new().card(1);
        card.submit(100, 50);
        card.submit(120, 10);
        assert_eq!([149, 159].map(|now| card.has_done(50, now)), [false, true]);
        assert!(!card.has_done(60, 159) && card.has_done(60, 160));
    }

    #[test]
    fn an_idle_card_begins_at_once_and_saves_no_time() {
        let card = Machine::new().card(1);
        card.submit(100, 50);
        card.submit(1_000, 10);
        assert!(!card.has_done(60, 1_009) && card.has_done(60, 1_010));
    }

    #[test]
    fn processes_with_work_at_once_share_the_time_of_a_card() {
        let machine = Machine::new();
        let (long, short) = (machine.card(1), machine.card(1));
        long.submit(0, 1_000);
        short.submit(100, 50);
        assert!(!short.has_done(50, 190) && short.has_done(50, 200), "half of the time is its");
        assert!(!long.has_done(1_000, 1_040) && long.has_done(1_000, 1_050));
    }

    #[test]
    fn work_of_a_dead_process_ends_with_it() {
        let machine = Machine::new();
        let (one, other) = (machine.card(1), machine.card(1));
        one.submit(100, 1_000_000);
        drop(one);
        other.submit(200, 50);
        assert!(other.has_done(50, 250));
    }

    #[test]
    fn work_of_the_living_goes_on_when_a_process_dies() {
        let machine = Machine::new();
        let [one, other, third] = [(); 3].map(|()| machine.card(1));
        one.submit(100, 1_000);
        other.submit(100, 50);
        drop(other);
        third.submit(200, 50);
        assert!(!third.has_done(50, 290) && third.has_done(50, 300), "one lives, and has half of the time");
    }

    #[test]
    fn device_time_is_counted_by_process() {
        let machine = Machine::new();
        let (one, other) = (machine.card(1), machine.card(1));
        one.submit(0, 57);
        other.submit(0, 1);
        assert!(one.has_done(57, 1_000));
        let done = |card: &Card| card.done(card.record).load(Ordering::SeqCst);
        assert_eq!((done(&one), done(&other)), (57, 1));
    }

    #[test]
    fn one_that_waits_for_another_on_the_card_takes_its_part_of_the_time() {
        let machine = Machine::new();
        let (waits, works) = (machine.card(1), machine.card(1));
        waits.set_meets(true, 0);
        works.submit(0, 100);
        assert!(!works.has_done(100, 190) && works.has_done(100, 200));
        waits.set_meets(false, 200);
        works.submit(200, 100);
        assert!(works.has_done(200, 300));
    }
}
