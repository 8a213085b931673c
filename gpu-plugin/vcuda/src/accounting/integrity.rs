//! Whether the accounting is as these functions leave it, at every instruction at which a process may be killed.

use std::sync::Once;
use std::sync::atomic::Ordering;

use super::{Accounting, DAMAGED, FILE, FILE_BYTES, MAGIC, PROCESSES};
use crate::log;

/// A number is not what anybody wrote. It was said on standard error.
#[derive(Debug)]
pub(crate) struct Damage;

impl Accounting {
    /// Takes a accounting that is whole, or one that nobody has used yet.
    pub(super) fn begin(&self) -> Result<(), String> {
        let first = self.number(0);
        // All zero is a new one, unless somebody uses it: then it was wiped.
        let wiped =
            || self.ofd_locks.first_held(&(0..PROCESSES)).is_some() && first.load(Ordering::SeqCst) == 0;
        if first.load(Ordering::SeqCst) == 0 && wiped() {
            first.store(DAMAGED, Ordering::SeqCst);
        }
        match first.compare_exchange(0, MAGIC, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) | Err(MAGIC) => Ok(()),
            Err(DAMAGED) => Err("was found damaged".to_owned()),
            Err(other) => Err(format!(
                "begins with {other:#018x}, not {MAGIC:#018x}: it is damaged or of another version"
            )),
        }
    }

    /// Before anything else in it is looked at: behind the end of a file that was made shorter there is nothing to look at.
    pub(super) fn check_file(&self) -> Result<(), Damage> {
        match self.ofd_locks.size() {
            Some(size) if size != FILE_BYTES as u64 => Err(Self::say_once("it has another size")),
            _ => self.check_magic(),
        }
    }

    fn check_magic(&self) -> Result<(), Damage> {
        match self.number(0).load(Ordering::SeqCst) {
            MAGIC => Ok(()),
            _ => Err(self.damaged("its first number is wrong")),
        }
    }

    /// Nobody may use CUDA from now on: what is used of the cards is not known any more.
    pub(super) fn damaged(&self, what: &str) -> Damage {
        self.number(0).store(DAMAGED, Ordering::SeqCst);
        Self::say_once(what)
    }

    fn say_once(what: &str) -> Damage {
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            log::error(&format!(
                "{FILE}: damaged: {what}. CUDA's memory is refused until the container starts again"
            ));
        });
        Damage
    }

    /// Bytes of a card that all processes have been charged with. That the accounting has its size was looked at just before.
    pub(crate) fn used(&'static self, card: usize) -> Result<u64, Damage> {
        self.check_magic()?;
        let (mut sum, mut free_from) = (0_u64, 0);
        for number in 0..PROCESSES {
            let Some(used) = self.entry(number).charged(card)? else { continue };
            self.check_free(free_from, number)?;
            free_from = number + 1;
            sum = sum.saturating_add(used);
        }
        self.check_free(free_from, PROCESSES)?;
        Ok(sum)
    }

    /// A entry that is free is no living process's: each takes its entry first and holds it then, and lets it go before anybody
    /// clears it.
    fn check_free(&'static self, from: usize, end: usize) -> Result<(), Damage> {
        if from == end {
            return Ok(());
        }
        // Held before and behind: it was not taken or cleared just now.
        let Some(held) = self.ofd_locks.first_held(&(from..end)) else { return Ok(()) };
        let free = || self.entry(held).is_free() && self.ofd_locks.is_held(held);
        if free() && free() && self.entry(held).is_free() {
            return Err(self.damaged("a process that lives has no entry"));
        }
        Ok(())
    }
}
