//! The allocations of this process, so that what is freed is given back to the right card, to the byte.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::blocks::{Blocks, whole_blocks};
use super::charge::{Charge, adjust, adjust_spilled};
use crate::abi::{CUDA_ERROR_OUT_OF_MEMORY, CUcontext, CUresult};
use crate::accounting::process_id;
use crate::cards::{self, Card};

/// An allocation.
#[derive(Debug, Clone, Copy)]
struct Allocation {
    card: &'static Card,
    /// The context that it dies with.
    context: usize,
    /// As it was asked for, in bytes.
    bytes: u64,
    kind: ChargeKind,
}

/// How an allocation is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChargeKind {
    /// By the blocks that it lies in.
    Blocks,
    /// By a fixed number of bytes: its blocks are not known from its address.
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
fn record(pointer: u64, allocation: Allocation, charge: Charge) {
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

fn release(pointer: u64, allocation: &Allocation) {
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

/// The charge of an allocation that the driver is about to be asked for. Dropped it is given back; once the driver has allocated it is settled.
#[must_use]
pub(crate) struct AllocationCharge {
    card: &'static Card,
    context: usize,
    bytes: u64,
    charge: Charge,
}

/// Where an allocation lies, and so what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// On the card: the blocks that its addresses lie in.
    Blocks,
    /// On the card, where its blocks are not known from its address: all that was charged.
    Whole,
    /// In host memory as the card had no room: all that was charged.
    Spilled,
}

impl AllocationCharge {
    /// Charges the whole blocks that so many bytes may take, in the context of this thread.
    pub(crate) fn new(bytes: u64) -> Result<Self, CUresult> {
        Self::in_context(cards::current_context()?, bytes)
    }

    /// The same where the context of this thread and its card are known.
    pub(crate) fn in_context(
        (context, card): (CUcontext, &'static Card),
        bytes: u64,
    ) -> Result<Self, CUresult> {
        let cost = whole_blocks(bytes).ok_or(CUDA_ERROR_OUT_OF_MEMORY)?;
        Ok(Self { card, context: context as usize, bytes, charge: Charge::new(card, cost)? })
    }

    /// As they were asked for.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The charge alone, for what is not written down as an allocation.
    pub(crate) fn into_charge(self) -> Charge {
        self.charge
    }

    /// The driver has allocated: what it gave is written down by its pointer or handle.
    pub(crate) fn settle(self, pointer: u64, placement: Placement) {
        let charged = self.charge.bytes();
        let kind = match placement {
            Placement::Blocks => ChargeKind::Blocks,
            Placement::Whole => ChargeKind::Fixed(charged),
            Placement::Spilled => ChargeKind::Spilled(charged),
        };
        let allocation = Allocation { card: self.card, context: self.context, bytes: self.bytes, kind };
        record(pointer, allocation, self.charge);
    }
}

/// An allocation that the driver is asked to free. It is taken out before, still charged: what the driver frees it may give to another
/// thread at once. Dropped it is put back; once the driver has freed it is settled.
#[must_use]
pub(crate) struct PendingFree {
    pointer: u64,
    /// None of what is not known.
    allocation: Option<Allocation>,
}

impl PendingFree {
    pub(crate) fn new(pointer: u64) -> Self {
        Self { pointer, allocation: allocations().by_address.remove(&pointer) }
    }

    /// The driver has freed it: its charge is given back.
    pub(crate) fn settle(mut self) {
        if let Some(allocation) = self.allocation.take() {
            release(self.pointer, &allocation);
        }
    }
}

impl Drop for PendingFree {
    fn drop(&mut self) {
        if let Some(allocation) = self.allocation.take() {
            allocations().by_address.insert(self.pointer, allocation);
        }
    }
}

/// Writes down what a context itself takes.
pub(crate) fn record_context(context: usize, card: &'static Card, charge: Charge) {
    let bytes = card.context_bytes;
    record(context as u64, Allocation { card, context, bytes, kind: ChargeKind::Fixed(bytes) }, charge);
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
