//! What this process holds of each card, and whether it may hold more.
//!
//! Memory is charged before the driver is asked and given back after the driver took it, so that the sum of the charges is never
//! below what is really held. The driver works in blocks of 2 MiB; which of them an allocation costs is seen from its address.

use std::sync::atomic::Ordering;

use crate::abi::{CUDA_ERROR_NOT_PERMITTED, CUDA_ERROR_OUT_OF_MEMORY, CUresult};
use crate::accounting::{self, Accounting, Damage, ProcessEntry};
use crate::cards::{self, Card};

mod blocks;
pub(crate) mod graphs;
pub(crate) mod ledger;
pub(crate) mod physical;
pub(crate) mod pools;

pub(crate) use blocks::whole_blocks;

/// Bytes that are charged to this process and not yet used. Given back when dropped.
pub(crate) struct Reservation {
    card: &'static Card,
    entry: ProcessEntry,
    bytes: u64,
}

/// Charges this process for bytes of a card, or tells that the slice has no room for them.
pub(crate) fn reserve(card: &'static Card, bytes: u64) -> Result<Reservation, CUresult> {
    let accounting = cards::permitted()?;
    let entry = own_entry(accounting)?;
    let _lock = accounting.lock();
    let room = || fits(accounting, entry, card, bytes);
    let fits = room().and_then(|fits| if fits { Ok(true) } else { Ok(accounting.clear_dead()? && room()?) });
    match fits {
        Ok(true) => Ok(Reservation { card, entry, bytes }),
        Ok(false) => {
            card.accounting().refused.fetch_add(1, Ordering::Relaxed);
            Err(CUDA_ERROR_OUT_OF_MEMORY)
        }
        Err(Damage) => Err(CUDA_ERROR_NOT_PERMITTED),
    }
}

/// Charges first and looks then: of two that do so at one time at least one sees both.
fn fits(
    accounting: &'static Accounting,
    entry: ProcessEntry,
    card: &Card,
    bytes: u64,
) -> Result<bool, Damage> {
    if entry.used(card.index)?.checked_add(bytes).is_none_or(|sum| sum > card.limit_bytes) {
        return Ok(false);
    }
    entry.charge(card.index, bytes, 0)?;
    let fits = accounting.used(card.index)? <= card.limit_bytes;
    if !fits {
        entry.charge(card.index, 0, bytes)?;
    }
    Ok(fits)
}

impl Reservation {
    /// What it cost in the end. More than was reserved only where the driver has taken more than anyone could foresee.
    pub(crate) fn commit(self, bytes: u64) {
        self.commit_and(bytes, 0);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The same where something else that was charged before is replaced by it.
    pub(crate) fn commit_and(self, bytes: u64, before: u64) {
        settle(self.entry, self.card, bytes, self.bytes.saturating_add(before));
        std::mem::forget(self);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        settle(self.entry, self.card, 0, self.bytes);
    }
}

/// Charges `more` and takes `less` back, in one step.
pub(crate) fn charge(card: &Card, more: u64, less: u64) {
    let Some(entry) = cards::permitted().ok().and_then(|accounting| own_entry(accounting).ok()) else {
        return;
    };
    settle(entry, card, more, less);
}

fn settle(entry: ProcessEntry, card: &Card, more: u64, less: u64) {
    // Damage was said, and is found again by whoever allocates next.
    let _said = entry.charge(card.index, more, less);
}

/// The same for what lies in host memory, which is charged as used as well.
pub(crate) fn charge_spilled(card: &Card, more: u64, less: u64) {
    let Some(entry) = cards::permitted().ok().and_then(|accounting| own_entry(accounting).ok()) else {
        return;
    };
    // Wrapping: the difference as it is, down too.
    entry.spilled(card.index).fetch_add(more.wrapping_sub(less), Ordering::SeqCst);
}

/// This process's entry. A child of `fork` that takes its own has nothing of what its parent had.
fn own_entry(accounting: &'static Accounting) -> Result<ProcessEntry, CUresult> {
    let (entry, new) = accounting::own_entry(accounting).map_err(|_said| CUDA_ERROR_NOT_PERMITTED)?;
    if new {
        ledger::forget_all();
    }
    Ok(entry)
}

/// The limit of a card and what the container uses of it, in bytes.
pub(crate) fn told_of(card: &Card) -> Result<(u64, u64), CUresult> {
    let accounting = cards::permitted()?;
    let used = accounting.clear_dead().and_then(|_| accounting.used(card.index));
    Ok((card.limit_bytes, used.map_err(|Damage| CUDA_ERROR_NOT_PERMITTED)?.min(card.limit_bytes)))
}

/// The same by the card's UUID, as NVML writes it.
pub(crate) fn told(uuid: &str) -> Option<(u64, u64)> {
    told_of(cards::by_uuid(uuid)?).ok()
}
