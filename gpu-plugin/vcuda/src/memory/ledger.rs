//! The allocations of this process, so that what is freed is given back to the right card, to the byte.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::blocks::Blocks;
use super::{Reservation, charge, charge_spilled};
use crate::cards::Card;

/// An allocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allocation {
    pub(crate) card: &'static Card,
    /// The context that it dies with.
    pub(crate) context: usize,
    /// As it was asked for, in bytes.
    pub(crate) bytes: u64,
    /// How it is charged.
    pub(crate) kind: Kind,
}

/// How an allocation is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By the blocks that it lies in.
    Blocks,
    /// By a fixed number of bytes: its address says nothing.
    Fixed(u64),
    /// By a fixed number of bytes, in host memory as far as the card has no room.
    Spilled(u64),
}

#[derive(Debug, Default)]
struct Ledger {
    /// By pointer or handle: neither is ever the other, since both are addresses of this process.
    allocations: BTreeMap<u64, Allocation>,
    blocks: Blocks,
}

static LEDGER: LazyLock<Mutex<Ledger>> = LazyLock::new(Mutex::default);

fn ledger() -> MutexGuard<'static, Ledger> {
    LEDGER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes an allocation down, in place of its reservation.
pub(crate) fn add(pointer: u64, allocation: Allocation, reserved: Reservation) {
    let mut ledger = ledger();
    let cost = match allocation.kind {
        Kind::Blocks => ledger.blocks.add(pointer, allocation.bytes),
        Kind::Fixed(bytes) => bytes,
        Kind::Spilled(bytes) => {
            charge_spilled(allocation.card, bytes, 0);
            bytes
        }
    };
    ledger.allocations.insert(pointer, allocation);
    reserved.commit(cost);
}

/// Takes an allocation out, still charged: what the driver frees it may give to another thread at once, so it must be out before.
pub(crate) fn take(pointer: u64) -> Option<Allocation> {
    ledger().allocations.remove(&pointer)
}

/// Puts back what the driver did not free.
pub(crate) fn put_back(pointer: u64, allocation: Allocation) {
    ledger().allocations.insert(pointer, allocation);
}

/// Gives back what the driver has freed.
pub(crate) fn freed(pointer: u64, allocation: &Allocation) {
    let bytes = match allocation.kind {
        Kind::Blocks => ledger().blocks.remove(pointer, allocation.bytes),
        Kind::Fixed(bytes) => bytes,
        Kind::Spilled(bytes) => {
            charge_spilled(allocation.card, 0, bytes);
            bytes
        }
    };
    charge(allocation.card, 0, bytes);
}

/// What an allocation is, if it is one.
pub(crate) fn look(pointer: u64) -> Option<Allocation> {
    ledger().allocations.get(&pointer).copied()
}

/// Gives back everything that died with a context.
pub(crate) fn forget_context(context: usize) {
    let mut gone = Vec::new();
    ledger().allocations.retain(|pointer, allocation| {
        let dies = allocation.context == context;
        if dies {
            gone.push((*pointer, *allocation));
        }
        !dies
    });
    for (pointer, allocation) in gone {
        freed(pointer, &allocation);
    }
}

/// Forgets everything without giving anything back: it was another process's.
pub(crate) fn forget_all() {
    *ledger() = Ledger::default();
}
