//! The accounting file of this container, as this process has it open.

use std::sync::atomic::Ordering;

use ideal_gpu::accounting::layout::{
    CARD_BUSY, CARD_BYTES, CARD_REFUSED, CARD_TAT, CARD_THROTTLED, CARDS_AT, DAMAGED, FILE_BYTES, MAGIC,
    PROCESSES,
};
use ideal_gpu::container_paths::ACCOUNTING;

use super::damage::{Damage, check_magic};
use super::fork_local::fork_local;
use super::futex_lock::FutexLock;
use super::mapping::Mapping;
use super::ofd_lock::OfdLocks;
use super::process_entry::ProcessEntry;
use crate::sync::AtomicU64;

/// The open file.
pub(crate) struct Accounting {
    mapping: Mapping,
    ofd_locks: OfdLocks,
}

impl Accounting {
    /// Opens it, and takes one that is whole or that nobody has used yet.
    pub(super) fn open() -> Result<Self, String> {
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .open(ACCOUNTING)
            .map_err(|error| error.to_string())?;
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        if length != FILE_BYTES as u64 {
            return Err(format!("it has {length} bytes, and an accounting file has {FILE_BYTES}"));
        }
        let mapping = Mapping::new(&file).map_err(|error| error.to_string())?;
        let ofd_locks = OfdLocks::new(file).map_err(|error| error.to_string())?;
        let accounting = Self { mapping, ofd_locks };
        accounting.initialise()?;
        Ok(accounting)
    }

    fn initialise(&self) -> Result<(), String> {
        let first = self.mapping.number(0);
        // All zero is a new one, unless somebody uses it: then it was wiped.
        let used = || self.ofd_locks.first_held(&(0..PROCESSES)).is_some();
        if first.load(Ordering::SeqCst) == 0 && used() && first.load(Ordering::SeqCst) == 0 {
            first.store(DAMAGED, Ordering::SeqCst);
        }
        match first.compare_exchange(0, MAGIC, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) | Err(MAGIC) => Ok(()),
            Err(DAMAGED) => Err("it is marked as damaged".to_owned()),
            Err(other) => Err(format!(
                "it begins with {other:#018x}, not {MAGIC:#018x}: it is damaged or of another version"
            )),
        }
    }

    /// To be called before any other access: reading beyond the end of a file that was truncated ends the process.
    pub(super) fn check_file(&self) -> Result<(), Damage> {
        match self.ofd_locks.size() {
            Some(size) if size != FILE_BYTES as u64 => Err(Damage::report("its size was changed")),
            _ => check_magic(&self.mapping),
        }
    }

    pub(super) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Which entries living processes hold, as the kernel knows it.
    pub(super) fn ofd_locks(&self) -> &OfdLocks {
        &self.ofd_locks
    }

    pub(super) fn entry(&self, number: usize) -> ProcessEntry<'_> {
        ProcessEntry::new(&self.mapping, number)
    }

    /// One at a time over the sums.
    pub(crate) fn lock(&self) -> FutexLock<'_> {
        FutexLock::new(self.mapping.lock_word(), fork_local().process_id())
    }

    /// What all processes share of a card.
    pub(crate) fn card(&'static self, card: usize) -> CardCounters {
        let at = CARDS_AT + card * CARD_BYTES;
        CardCounters {
            tat: self.mapping.number(at + CARD_TAT),
            busy_ns: self.mapping.number(at + CARD_BUSY),
            throttled_ns: self.mapping.number(at + CARD_THROTTLED),
            refused: self.mapping.number(at + CARD_REFUSED),
        }
    }
}

/// What all processes share of a card.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CardCounters {
    /// When the next work may start, ns of `CLOCK_MONOTONIC`.
    pub(crate) tat: &'static AtomicU64,
    /// Device time charged, in ns.
    pub(crate) busy_ns: &'static AtomicU64,
    /// Time made to wait, in ns.
    pub(crate) throttled_ns: &'static AtomicU64,
    /// Allocations refused because of the limit.
    pub(crate) refused: &'static AtomicU64,
}
