//! Physical memory without an address (`cuMemCreate`): it is the card's until its last handle is released and its last mapping
//! is gone, whichever comes later.

use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::{Reservation, charge, charge_spilled};
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
    /// Charged for it. Of memory that was imported this grows with what is mapped of it: nobody tells its size before.
    bytes: u64,
    origin: Origin,
    handles: u32,
    mappings: u32,
}

/// The physical memory of this process.
#[derive(Debug, Default)]
pub(crate) struct Store {
    physical: HashMap<u64, Physical>,
    handles: HashMap<Handle, u64>,
    /// By address: size, and what is mapped there.
    mappings: BTreeMap<u64, (u64, u64)>,
    last: u64,
}

static STORE: LazyLock<Mutex<Store>> = LazyLock::new(Mutex::default);

/// The store, for as long as one call takes.
pub(crate) fn lock() -> MutexGuard<'static, Store> {
    STORE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Memory that was made, or imported with nothing charged yet.
    pub(crate) fn add(&mut self, handle: Handle, card: &'static Card, reserved: Reservation, origin: Origin) {
        self.last += 1;
        let bytes = reserved.bytes();
        if origin == Origin::Spilled {
            charge_spilled(card, bytes, 0);
        }
        reserved.commit(bytes);
        self.handles.insert(handle, self.last);
        self.physical.insert(self.last, Physical { card, bytes, origin, handles: 1, mappings: 0 });
    }

    /// What must be charged before so much of it may be mapped: nothing, but for memory that was imported.
    pub(crate) fn owed(&self, handle: Handle, bytes: u64) -> Option<(&'static Card, u64)> {
        let it = self.physical.get(self.handles.get(&handle)?)?;
        (it.origin == Origin::Imported).then(|| (it.card, bytes.saturating_sub(it.bytes)))
    }

    pub(crate) fn mapped(&mut self, handle: Handle, address: u64, bytes: u64, owed: Option<Reservation>) {
        let Some(id) = self.handles.get(&handle) else { return };
        let Some(it) = self.physical.get_mut(id) else { return };
        it.mappings += 1;
        if let Some(owed) = owed {
            let more = owed.bytes();
            owed.commit(more);
            it.bytes += more;
        }
        self.mappings.insert(address, (bytes, *id));
    }

    /// Everything that lay in a range of addresses.
    pub(crate) fn unmapped(&mut self, address: u64, bytes: u64) {
        let inside: Vec<u64> =
            self.mappings.range(address..address.saturating_add(bytes)).map(|(at, _)| *at).collect();
        for at in inside {
            if let Some((_, id)) = self.mappings.remove(&at) {
                self.less(id, |it| it.mappings = it.mappings.saturating_sub(1));
            }
        }
    }

    pub(crate) fn released(&mut self, handle: Handle) {
        let Some(id) = self.handles.get(&handle).copied() else { return };
        self.less(id, |it| it.handles = it.handles.saturating_sub(1));
        if self.physical.get(&id).is_none_or(|it| it.handles == 0) {
            self.handles.remove(&handle);
        }
    }

    /// Another handle of what is mapped at an address.
    pub(crate) fn retained(&mut self, handle: Handle, address: u64) {
        let Some((at, (bytes, id))) = self.mappings.range(..=address).next_back() else { return };
        if address - at < *bytes
            && let Some(it) = self.physical.get_mut(id)
        {
            it.handles += 1;
            self.handles.insert(handle, *id);
        }
    }

    fn less(&mut self, id: u64, change: impl FnOnce(&mut Physical)) {
        let Some(it) = self.physical.get_mut(&id) else { return };
        change(it);
        if it.handles == 0 && it.mappings == 0 {
            if it.origin == Origin::Spilled {
                charge_spilled(it.card, 0, it.bytes);
            }
            charge(it.card, 0, it.bytes);
            self.physical.remove(&id);
        }
    }
}
