//! What the library knows between two calls: `nvmlInit`'s count, handles and sets of events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::config::{Card, Config, File, Process};
use crate::cuda::holders;
use crate::nvml::abi::{Handle, NvmlError};

/// NVML's state in this process.
#[derive(Debug)]
pub(crate) struct NvmlState {
    file: File,
    /// `nvmlInit` less `nvmlShutdown`.
    inits: u32,
    /// UUIDs of the cards that were there at the first `nvmlInit`, in NVML's order.
    listed: Vec<String>,
    /// UUID by handle: the handle is the place here, plus one, and is never given to another card.
    handles: Vec<String>,
    pub(crate) sets: BTreeMap<usize, EventSet>,
    last_set: usize,
    /// Ids of events that some set has got: sets made later do not get them.
    delivered_to_any: BTreeSet<u64>,
}

/// A set of events.
#[derive(Debug, Default)]
pub(crate) struct EventSet {
    /// Kinds of events that it is registered for, by the card's UUID.
    pub(crate) registered: BTreeMap<String, u64>,
    delivered: BTreeSet<u64>,
}

static STATE: LazyLock<Mutex<NvmlState>> = LazyLock::new(|| Mutex::new(NvmlState::new()));

/// Nobody ever notifies it: threads sleep on it with a time-out and without holding the lock.
static SLEEP: Condvar = Condvar::new();

/// How often a call that waits for a card looks at the file, whatever the file says.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The state, locked.
pub(crate) fn lock_state() -> MutexGuard<'static, NvmlState> {
    STATE.lock()
}

/// Sleeps with the state unlocked, so that other threads can work.
pub(crate) fn sleep_unlocked(state: &mut MutexGuard<'static, NvmlState>, time: Duration) {
    SLEEP.wait_for(state, time);
}

impl NvmlState {
    fn new() -> Self {
        Self {
            file: File::find(),
            inits: 0,
            listed: Vec::new(),
            handles: Vec::new(),
            sets: BTreeMap::new(),
            last_set: 0,
            delivered_to_any: BTreeSet::new(),
        }
    }

    /// What the file says, if the driver is loaded.
    fn loaded(&mut self) -> Result<&Config, NvmlError> {
        let config = self.file.read().filter(|config| config.driver != "not_loaded");
        config.ok_or(NvmlError::DRIVER_NOT_LOADED)
    }

    pub(crate) fn init(&mut self) -> Result<(), NvmlError> {
        let uuids = self.loaded()?.cards.iter().map(|card| card.uuid.clone()).collect();
        if self.inits == 0 {
            self.listed = uuids;
        }
        self.inits += 1;
        Ok(())
    }

    pub(crate) fn shutdown(&mut self) -> Result<(), NvmlError> {
        self.inits = self.inits.checked_sub(1).ok_or(NvmlError::UNINITIALIZED)?;
        if self.inits == 0 {
            self.sets.clear();
        }
        Ok(())
    }

    /// What the file says, if the library was initialised.
    pub(crate) fn config(&mut self) -> Result<&Config, NvmlError> {
        if self.inits == 0 {
            return Err(NvmlError::UNINITIALIZED);
        }
        self.loaded()
    }

    pub(crate) fn count(&mut self) -> Result<u32, NvmlError> {
        self.config()?;
        Ok(u32::try_from(self.listed.len()).unwrap_or(u32::MAX))
    }

    /// The handle of the card at a place.
    pub(crate) fn at(&mut self, index: u32) -> Result<Handle, NvmlError> {
        self.config()?;
        let uuid = self.listed.get(index as usize).cloned().ok_or(NvmlError::INVALID_ARGUMENT)?;
        self.handle(&uuid)
    }

    /// The handle of the card that is meant.
    pub(crate) fn find(&mut self, is_it: impl Fn(&Card, u32) -> bool) -> Result<Handle, NvmlError> {
        let listed = self.listed.clone();
        let place = |card: &Card| (0_u32..).zip(&listed).find(|(_, uuid)| **uuid == card.uuid);
        let cards = &self.config()?.cards;
        let it = cards.iter().find(|card| place(card).is_some_and(|(at, _)| is_it(card, at)));
        let uuid = it.map(|card| card.uuid.clone()).ok_or(NvmlError::NOT_FOUND)?;
        self.handle(&uuid)
    }

    fn handle(&mut self, uuid: &str) -> Result<Handle, NvmlError> {
        let place = self.handles.iter().position(|known| known == uuid).unwrap_or_else(|| {
            self.handles.push(uuid.to_owned());
            self.handles.len() - 1
        });
        let handle = Handle(place + 1);
        self.card(handle)?;
        Ok(handle)
    }

    /// The card behind a handle and its place, if it answers.
    pub(crate) fn card(&mut self, handle: Handle) -> Result<(Card, u32), NvmlError> {
        let place = handle.0.checked_sub(1).ok_or(NvmlError::INVALID_ARGUMENT)?;
        let uuid = self.handles.get(place).cloned().ok_or(NvmlError::INVALID_ARGUMENT)?;
        let at = (0_u32..).zip(&self.listed).find(|(_, listed)| **listed == uuid).map(|(at, _)| at);
        let mut card = self.config()?.cards.iter().find(|card| card.uuid == uuid).cloned();
        if let (Some(card), Some(state)) = (&mut card, self.file.state()) {
            // Beside those of the file: programs that compute.
            card.processes.extend(holders(&state, &uuid).into_iter().map(Process::computing));
        }
        match (card, at) {
            (Some(card), Some(_)) if card.error != 0 => Err(NvmlError(card.error)),
            (Some(card), Some(at)) if !card.lost => Ok((card, at)),
            _ => Err(NvmlError::GPU_IS_LOST),
        }
    }

    /// How often a call that waits for an event looks at the file.
    pub(crate) fn poll_interval(&mut self) -> Result<Duration, NvmlError> {
        Ok(Duration::from_millis(self.config()?.look_ms.max(1)))
    }

    pub(crate) fn new_set(&mut self) -> Result<Handle, NvmlError> {
        self.config()?;
        self.last_set += 1;
        self.sets.insert(
            self.last_set,
            EventSet { delivered: self.delivered_to_any.clone(), ..EventSet::default() },
        );
        Ok(Handle(self.last_set))
    }

    /// The next event for a set: its card's handle, what kind, and the XID.
    pub(crate) fn next_event(&mut self, set: Handle) -> Result<Option<(Handle, u64, u64)>, NvmlError> {
        let events = self.config()?.events.clone();
        let set = self.sets.get_mut(&set.0).ok_or(NvmlError::INVALID_ARGUMENT)?;
        for event in events {
            let (kind, data) = event.kind();
            let wanted = set.registered.get(&event.card).is_some_and(|kinds| kinds & kind != 0);
            if wanted && set.delivered.insert(event.id) {
                self.delivered_to_any.insert(event.id);
                let place = self.handles.iter().position(|uuid| *uuid == event.card);
                return Ok(place.map(|place| (Handle(place + 1), kind, data)));
            }
        }
        let cards: Vec<String> = set.registered.keys().cloned().collect();
        let lives =
            |config: &Config, uuid: &String| config.cards.iter().any(|card| card.uuid == *uuid && !card.lost);
        let config = self.config()?;
        match cards.iter().all(|uuid| lives(config, uuid)) {
            true => Ok(None),
            false => Err(NvmlError::GPU_IS_LOST),
        }
    }
}

/// Work on a card that answers, as soon as it does.
pub(crate) fn with_card(
    device: Handle,
    work: impl FnOnce(&Card, u32) -> Result<(), NvmlError>,
) -> std::ffi::c_uint {
    crate::nvml::ffi::call(|| {
        let mut state = lock_state();
        let (card, at) = loop {
            match state.card(device)? {
                (card, _) if card.hang => sleep_unlocked(&mut state, POLL_INTERVAL),
                answers => break answers,
            }
        };
        drop(state);
        work(&card, at)
    })
}
