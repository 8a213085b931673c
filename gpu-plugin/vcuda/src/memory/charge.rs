//! What this process is charged with of each card, in the accounting of the container.
//!
//! Memory is charged before the driver is asked for it and given back after the driver took it, so that the sum of the charges is
//! never below what is really held.

use std::sync::atomic::Ordering;

use crate::abi::{CUDA_ERROR_NOT_PERMITTED, CUDA_ERROR_OUT_OF_MEMORY, CUresult};
use crate::accounting::{Damage, ProcessEntry};
use crate::cards::{self, Card};

/// The charge for memory that the driver is about to be asked for. Dropped it is given back; once the driver has given the memory it
/// is settled.
#[must_use]
pub(crate) struct Charge {
    card: &'static Card,
    entry: ProcessEntry<'static>,
    bytes: u64,
}

impl Charge {
    /// Charges this process for bytes of a card. Fails if the slice has no room for them.
    pub(crate) fn new(card: &'static Card, bytes: u64) -> Result<Self, CUresult> {
        let accounting = cards::accounting()?;
        let entry = own_entry()?;
        let _lock = accounting.lock();
        let try_charge = || accounting.try_charge(entry, card.index, bytes, card.limit_bytes);
        // Entries of dead processes are searched for only where there is no room.
        let charged =
            try_charge().and_then(|charged| Ok(charged || accounting.clear_dead()? && try_charge()?));
        match charged {
            Ok(true) => Ok(Self { card, entry, bytes }),
            Ok(false) => {
                card.counters.refused.fetch_add(1, Ordering::Relaxed);
                Err(CUDA_ERROR_OUT_OF_MEMORY)
            }
            Err(Damage) => Err(CUDA_ERROR_NOT_PERMITTED),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the memory costs in the end. More than was charged only where the driver has taken more than anyone could foresee.
    pub(crate) fn settle(self, cost: u64) {
        self.settle_replacing(cost, 0);
    }

    /// The same where it replaces something that was charged before.
    pub(crate) fn settle_replacing(self, cost: u64, replaced: u64) {
        change(self.entry, self.card, cost, self.bytes.saturating_add(replaced));
        std::mem::forget(self);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        change(self.entry, self.card, 0, self.bytes);
    }
}

/// Charges `more` and takes `less` back, in one step.
pub(super) fn adjust(card: &Card, more: u64, less: u64) {
    if let Ok(entry) = own_entry() {
        change(entry, card, more, less);
    }
}

/// The same for what lies in host memory, which is charged as used as well.
pub(super) fn adjust_spilled(card: &Card, more: u64, less: u64) {
    if let Ok(entry) = own_entry() {
        // Wrapping: the difference as it is, down too.
        entry.spilled(card.index).fetch_add(more.wrapping_sub(less), Ordering::SeqCst);
    }
}

fn change(entry: ProcessEntry<'_>, card: &Card, more: u64, less: u64) {
    // Damage was logged, and is found again by the next allocation.
    let _logged = entry.charge(card.index, more, less);
}

fn own_entry() -> Result<ProcessEntry<'static>, CUresult> {
    cards::accounting()?.own_entry().map_err(|_logged| CUDA_ERROR_NOT_PERMITTED)
}

/// The limit of a card and what the container uses of it, in bytes.
pub(crate) fn limit_and_used(card: &Card) -> Result<(u64, u64), CUresult> {
    let accounting = cards::accounting()?;
    let used = accounting.clear_dead().and_then(|_| accounting.used(card.index));
    Ok((card.limit_bytes, used.map_err(|Damage| CUDA_ERROR_NOT_PERMITTED)?.min(card.limit_bytes)))
}
