//! The allocations of this process, so that what is freed is given back to the right card, to the byte.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::blocks::Blocks;
use super::charge::{Charge, adjust, adjust_spilled};
use crate::accounting::process_id;
use crate::cards::Card;

/// An allocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allocation {
    pub(crate) card: &'static Card,
    /// The context that it dies with.
    pub(crate) context: usize,
    /// As it was asked for, in bytes.
    pub(crate) bytes: u64,
    pub(crate) kind: ChargeKind,
}

/// How an allocation is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChargeKind {
    /// By the blocks that it lies in.
    Blocks,
    /// By a fixed number of bytes: its address says nothing.
    Fixed(u64),
    /// By a fixed number of bytes, in host memory as the card had no room.
    Spilled(u64),
}

#[derive(Debug, Default)]
struct Allocations {
    /// The id of the process whose they are: a child of `fork` has nothing of what its parent had.
    owner: u32,
    /// By pointer or handle: neither is ever the other, since both are addresses of this process.
    by_address: BTreeMap<u64, Allocation>,
    blocks: Blocks,
}

/// This process's, locked.
fn allocations() -> MutexGuard<'static, Allocations> {
    static ALLOCATIONS: LazyLock<Mutex<Allocations>> = LazyLock::new(Mutex::default);
    let mut allocations = ALLOCATIONS.lock().unwrap_or_else(PoisonError::into_inner);
    if allocations.owner != process_id() {
        *allocations = Allocations { owner: process_id(), ..Allocations::default() };
    }
    allocations
}

/// Writes an allocation down and settles its charge.
pub(crate) fn record(pointer: u64, allocation: Allocation, charge: Charge) {
    let mut allocations = allocations();
    let cost = match allocation.kind {
        ChargeKind::Blocks => allocations.blocks.add(pointer, allocation.bytes),
        ChargeKind::Fixed(bytes) => bytes,
        ChargeKind::Spilled(bytes) => {
            adjust_spilled(allocation.card, bytes, 0);
            bytes
        }
    };
    allocations.by_address.insert(pointer, allocation);
    charge.settle(cost);
}

/// Takes an allocation out, still charged: what the driver frees it may give to another thread at once, so it must be out before.
pub(crate) fn remove(pointer: u64) -> Option<Allocation> {
    allocations().by_address.remove(&pointer)
}

/// Puts back what the driver did not free.
pub(crate) fn restore(pointer: u64, allocation: Allocation) {
    allocations().by_address.insert(pointer, allocation);
}

/// Gives back the charge of what the driver has freed.
pub(crate) fn release(pointer: u64, allocation: &Allocation) {
    let bytes = match allocation.kind {
        ChargeKind::Blocks => allocations().blocks.remove(pointer, allocation.bytes),
        ChargeKind::Fixed(bytes) => bytes,
        ChargeKind::Spilled(bytes) => {
            adjust_spilled(allocation.card, 0, bytes);
            bytes
        }
    };
    adjust(allocation.card, 0, bytes);
}

/// Whether something is allocated at an address.
pub(crate) fn contains(pointer: u64) -> bool {
    allocations().by_address.contains_key(&pointer)
}

/// Gives back the charge of everything that died with a context.
pub(crate) fn release_context(context: usize) {
    let mut dead = Vec::new();
    allocations().by_address.retain(|pointer, allocation| {
        let dies = allocation.context == context;
        if dies {
            dead.push((*pointer, *allocation));
        }
        !dies
    });
    for (pointer, allocation) in dead {
        release(pointer, &allocation);
    }
}
