//! The entry of one process: who it is, and what it uses of each card.
//!
//! An entry is free while its process id is 0. A process that takes one writes the id last, and whoever clears one writes it first: so
//! an entry that is not free is whole, at every instruction at which a process may be killed.

use std::sync::atomic::Ordering;

use ideal_gpu::accounting::layout::{
    CARDS, PROCESS_CHECK, PROCESS_NAMESPACE, PROCESS_SPILLED, PROCESS_STACK, PROCESS_START, PROCESS_USED,
    pid_at, process_at,
};
use ideal_gpu::accounting::seal::{mix, seal, unseal};

use super::damage::Damage;
use super::mapping::Mapping;
use super::process_identity::ProcessIdentity;
use crate::sync::AtomicU64;

#[cfg(all(test, loom))]
mod loom_tests;

/// Cards of an entry. A model has one: the others are like it, and make it slow.
const ENTRY_CARDS: usize = if cfg!(loom) { 1 } else { CARDS };

/// The damage of an entry whose bytes are not sealed.
const NOT_CHARGED: &str = "it states memory that no process was charged with";

/// The entry of one process.
#[derive(Clone, Copy)]
pub(crate) struct ProcessEntry<'a> {
    mapping: &'a Mapping,
    /// Among the entries.
    number: usize,
}

impl<'a> ProcessEntry<'a> {
    pub(super) fn new(mapping: &'a Mapping, number: usize) -> Self {
        Self { mapping, number }
    }

    /// Takes a free entry for a process: its check, or `None` if another process was faster.
    pub(super) fn publish(&self, process: &ProcessIdentity) -> Option<u64> {
        // The id last: until then nobody reads the rest, and if this process is killed before, the entry is free.
        self.clear_numbers();
        self.start().store(process.start, Ordering::SeqCst);
        self.namespace().store(process.namespace, Ordering::SeqCst);
        self.stack().store(process.stack, Ordering::SeqCst);
        let check = self.check_of(process);
        self.check().store(check, Ordering::SeqCst);
        self.pid()
            .compare_exchange(0, process.pid, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
            .then_some(check)
    }

    /// Frees the entry of a process; whether it was still that process's.
    pub(super) fn clear(&self, process: &ProcessIdentity) -> bool {
        self.pid().compare_exchange(process.pid, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    pub(super) fn is_free(&self) -> bool {
        self.pid().load(Ordering::SeqCst) == 0
    }

    /// Whether this is the entry that a process has published with this check.
    pub(super) fn is_ours(&self, check: u64) -> bool {
        let written = self.check().load(Ordering::SeqCst);
        !self.is_free() && written == check && self.check_of(&self.identity()) == check
    }

    pub(super) fn identity(&self) -> ProcessIdentity {
        ProcessIdentity {
            pid: self.pid().load(Ordering::SeqCst),
            start: self.start().load(Ordering::SeqCst),
            namespace: self.namespace().load(Ordering::SeqCst),
            stack: self.stack().load(Ordering::SeqCst),
        }
    }

    /// Whether an entry that was read is still that process's, and whole; false if it has changed hands or become free meanwhile.
    pub(super) fn is_still(&self, process: &ProcessIdentity) -> Result<bool, Damage> {
        // The check first: whoever takes the entry writes the id after it.
        let check = self.check().load(Ordering::SeqCst);
        match self.pid().load(Ordering::SeqCst) {
            pid if pid != process.pid || pid == 0 => Ok(false),
            _ if check != self.check_of(process) => {
                Err(Damage::mark(self.mapping, "an entry does not match its process"))
            }
            _ => Ok(true),
        }
    }

    /// Bytes that its process is charged with on a card; `None` of an entry that is free.
    pub(super) fn charged(&self, card: usize) -> Result<Option<u64>, Damage> {
        while !self.is_free() {
            let process = self.identity();
            let used = self.used(card);
            if self.is_still(&process)? {
                return used.map(Some);
            }
        }
        Ok(None)
    }

    /// Bytes charged on a card.
    pub(crate) fn used(&self, card: usize) -> Result<u64, Damage> {
        let at = self.used_at(card);
        let word = self.mapping.number(at).load(Ordering::SeqCst);
        unseal(word, at).ok_or_else(|| Damage::mark(self.mapping, NOT_CHARGED))
    }

    /// Charges `more` and takes `less` back, in one step.
    pub(crate) fn charge(&self, card: usize, more: u64, less: u64) -> Result<(), Damage> {
        let at = self.used_at(card);
        let next = |word| Some(seal(unseal(word, at)?.saturating_add(more).saturating_sub(less), at));
        match self.mapping.number(at).fetch_update(Ordering::SeqCst, Ordering::SeqCst, next) {
            Ok(_) => Ok(()),
            Err(_) => Err(Damage::mark(self.mapping, NOT_CHARGED)),
        }
    }

    /// Charges bytes unless more than the limit would be used then; whether it did. `sum` computes what all processes use.
    ///
    /// It charges first and reads the sum then: of two processes that do so at one time at least one sees both charges.
    pub(super) fn try_charge(
        &self,
        card: usize,
        bytes: u64,
        limit: u64,
        sum: impl FnOnce() -> Result<u64, Damage>,
    ) -> Result<bool, Damage> {
        if self.used(card)?.checked_add(bytes).is_none_or(|sum| sum > limit) {
            return Ok(false);
        }
        self.charge(card, bytes, 0)?;
        let fits = sum()? <= limit;
        if !fits {
            self.charge(card, 0, bytes)?;
        }
        Ok(fits)
    }

    /// Bytes of a card that lie in host memory.
    pub(crate) fn spilled(&self, card: usize) -> &'a AtomicU64 {
        self.number_at(PROCESS_SPILLED + 8 * card)
    }

    fn clear_numbers(&self) {
        for card in 0..ENTRY_CARDS {
            let used = self.used_at(card);
            self.mapping.number(used).store(seal(0, used), Ordering::SeqCst);
            self.spilled(card).store(0, Ordering::SeqCst);
        }
    }

    /// A number that depends on who the process is and which entry this is.
    fn check_of(&self, process: &ProcessIdentity) -> u64 {
        let at = process_at(self.number) as u64;
        mix(&[at, process.pid, process.start, process.namespace, process.stack])
    }

    fn used_at(&self, card: usize) -> usize {
        process_at(self.number) + PROCESS_USED + 8 * card
    }

    fn pid(&self) -> &'a AtomicU64 {
        self.mapping.number(pid_at(self.number))
    }

    fn start(&self) -> &'a AtomicU64 {
        self.number_at(PROCESS_START)
    }

    fn namespace(&self) -> &'a AtomicU64 {
        self.number_at(PROCESS_NAMESPACE)
    }

    fn stack(&self) -> &'a AtomicU64 {
        self.number_at(PROCESS_STACK)
    }

    fn check(&self) -> &'a AtomicU64 {
        self.number_at(PROCESS_CHECK)
    }

    fn number_at(&self, offset: usize) -> &'a AtomicU64 {
        self.mapping.number(process_at(self.number) + offset)
    }
}
