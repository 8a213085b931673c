//! What all processes of the container use together.

use ideal_gpu::accounting::layout::PROCESSES;

use super::damage::{Damage, check_magic};
use super::file::Accounting;
use super::fork_local::fork_local;
use super::process_entry::ProcessEntry;

impl Accounting {
    /// Charges a process with bytes of a card, unless more than the limit would be used then; whether it did.
    pub(crate) fn try_charge(
        &self,
        entry: ProcessEntry<'_>,
        card: usize,
        bytes: u64,
        limit: u64,
    ) -> Result<bool, Damage> {
        entry.try_charge(card, bytes, limit, || self.used(card))
    }

    /// Bytes of a card that all processes have been charged with. The caller has checked the file's size just before.
    pub(crate) fn used(&self, card: usize) -> Result<u64, Damage> {
        check_magic(self.mapping())?;
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

    /// An entry that is free is no living process's: each takes its entry first and locks it then, and the lock ends before anybody
    /// clears the entry.
    fn check_free(&self, from: usize, end: usize) -> Result<(), Damage> {
        if from == end {
            return Ok(());
        }
        // Held before and after: it was not taken or cleared just now.
        let Some(held) = self.ofd_locks().first_held(&(from..end)) else { return Ok(()) };
        let free = || self.entry(held).is_free() && self.ofd_locks().is_held(held);
        if free() && free() && self.entry(held).is_free() {
            return Err(Damage::mark(self.mapping(), "a running process has lost its entry"));
        }
        Ok(())
    }

    /// Frees the entries of processes that are dead; whether there were any.
    pub(crate) fn clear_dead(&self) -> Result<bool, Damage> {
        self.check_file()?;
        let mut any = false;
        let own = fork_local().entry().map(|(number, _)| number);
        for number in 0..PROCESSES {
            let entry = self.entry(number);
            if entry.is_free() || Some(number) == own {
                continue;
            }
            let process = entry.identity();
            // A process that holds its entry's lock still has its memory, whatever /proc says of it. The lock is checked first: whoever
            // reads of a process in /proc keeps its mappings.
            if entry.is_still(&process)?
                && !self.ofd_locks().is_held(number)
                && process.is_gone()
                && entry.clear(&process)
            {
                any = true;
            }
        }
        Ok(any)
    }
}
