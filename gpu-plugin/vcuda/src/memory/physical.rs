//! Physical memory without an address (`cuMemCreate`): it is the card's until its last handle is released and its last mapping
//! is gone, whichever comes later.

use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::charge::{Charge, adjust, adjust_spilled};
use crate::cards::Card;

/// `CUmemGenericAllocationHandle`
pub(crate) type Handle = u64;

/// Where it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Card,
    /// Of the host, since the card was full.
    Spilled,
    /// Another process's.
    Imported,
}

#[derive(Debug)]
struct Physical {
    card: &'static Card,
    /// Bytes charged. For imported memory this grows with what is mapped of it: the driver does not report its size.
    bytes: u64,
    origin: Origin,
    handles: u32,
    mappings: u32,
}

/// A range of addresses with memory behind it.
#[derive(Debug)]
struct Mapping {
    bytes: u64,
    /// Of the memory.
    id: u64,
}

/// The physical memory of this process. Several handles may stand for the same memory, so that has an id of its own.
#[derive(Debug, Default)]
pub(crate) struct PhysicalMemory {
    by_id: HashMap<u64, Physical>,
    /// The id of the memory that each handle stands for.
    handles: HashMap<Handle, u64>,
    /// By address.
    mappings: BTreeMap<u64, Mapping>,
    last_id: u64,
}

static PHYSICAL_MEMORY: LazyLock<Mutex<PhysicalMemory>> = LazyLock::new(Mutex::default);

/// This process's, for as long as one call takes.
pub(crate) fn lock() -> MutexGuard<'static, PhysicalMemory> {
    PHYSICAL_MEMORY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PhysicalMemory {
    /// Memory that was made, or imported with nothing charged yet.
    pub(crate) fn add(&mut self, handle: Handle, card: &'static Card, charge: Charge, origin: Origin) {
        self.last_id += 1;
        let bytes = charge.bytes();
        if origin == Origin::Spilled {
            adjust_spilled(card, bytes, 0);
        }
        charge.settle(bytes);
        self.handles.insert(handle, self.last_id);
        self.by_id.insert(self.last_id, Physical { card, bytes, origin, handles: 1, mappings: 0 });
    }

    /// What must be charged before so much of it may be mapped: nothing, but for memory that was imported.
    pub(crate) fn uncharged(&self, handle: Handle, bytes: u64) -> Option<(&'static Card, u64)> {
        let memory = self.by_id.get(self.handles.get(&handle)?)?;
        (memory.origin == Origin::Imported).then(|| (memory.card, bytes.saturating_sub(memory.bytes)))
    }

    pub(crate) fn mapped(&mut self, handle: Handle, address: u64, bytes: u64, charge: Option<Charge>) {
        let Some(id) = self.handles.get(&handle) else { return };
        let Some(memory) = self.by_id.get_mut(id) else { return };
        memory.mappings += 1;
        if let Some(charge) = charge {
            let more = charge.bytes();
            charge.settle(more);
            memory.bytes += more;
        }
        self.mappings.insert(address, Mapping { bytes, id: *id });
    }

    /// Everything that lay in a range of addresses.
    pub(crate) fn unmapped(&mut self, address: u64, bytes: u64) {
        let inside: Vec<u64> =
            self.mappings.range(address..address.saturating_add(bytes)).map(|(at, _)| *at).collect();
        for at in inside {
            if let Some(mapping) = self.mappings.remove(&at) {
                self.drop_reference(mapping.id, |memory| memory.mappings = memory.mappings.saturating_sub(1));
            }
        }
    }

    pub(crate) fn released(&mut self, handle: Handle) {
        let Some(id) = self.handles.get(&handle).copied() else { return };
        self.drop_reference(id, |memory| memory.handles = memory.handles.saturating_sub(1));
        if self.by_id.get(&id).is_none_or(|memory| memory.handles == 0) {
            self.handles.remove(&handle);
        }
    }

    /// Another handle of what is mapped at an address.
    pub(crate) fn retained(&mut self, handle: Handle, address: u64) {
        let Some((at, mapping)) = self.mappings.range(..=address).next_back() else { return };
        if address - at < mapping.bytes
            && let Some(memory) = self.by_id.get_mut(&mapping.id)
        {
            memory.handles += 1;
            self.handles.insert(handle, mapping.id);
        }
    }

    fn drop_reference(&mut self, id: u64, change: impl FnOnce(&mut Physical)) {
        let Some(memory) = self.by_id.get_mut(&id) else { return };
        change(memory);
        if memory.handles == 0 && memory.mappings == 0 {
            if memory.origin == Origin::Spilled {
                adjust_spilled(memory.card, 0, memory.bytes);
            }
            adjust(memory.card, 0, memory.bytes);
            self.by_id.remove(&id);
        }
    }
}
