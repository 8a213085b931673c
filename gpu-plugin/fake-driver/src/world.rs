//! What the library knows between two calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::abi::{Code, Handle};
use crate::config::{Card, Config, File, Process};
use crate::cuda::holders;

/// The library's state.
#[derive(Debug)]
pub(crate) struct World {
    file: File,
    /// `nvmlInit` less `nvmlShutdown`.
    inits: u32,
    /// UUIDs of the cards that were there at the first `nvmlInit`, in NVML's order.
    listed: Vec<String>,
    /// UUID by handle: the handle is the place here, plus one, and is never given to another card.
    handles: Vec<String>,
    pub(crate) sets: BTreeMap<usize, Set>,
    last_set: usize,
    /// Ids of events that some set has got: sets made later do not get them.
    over: BTreeSet<u64>,
}

/// A set of events.
#[derive(Debug, Default)]
pub(crate) struct Set {
    /// What it wants to hear, by the card's UUID.
    pub(crate) wanted: BTreeMap<String, u64>,
    delivered: BTreeSet<u64>,
}

static WORLD: Mutex<Option<World>> = Mutex::new(None);

/// Nobody ever rings: threads sleep on it with a time-out and without holding the lock.
static PAUSE: Condvar = Condvar::new();

/// How often a call that waits for a card looks at the file, whatever the file says.
const LOOK: Duration = Duration::from_millis(2);

/// The world, locked.
pub(crate) struct Locked(MutexGuard<'static, Option<World>>);

impl Locked {
    pub(crate) fn new() -> Self {
        // Poison means a panic that `call` has already answered for.
        Self(WORLD.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn world(&mut self) -> &mut World {
        self.0.get_or_insert_with(World::new)
    }

    /// Lets others work for so long.
    pub(crate) fn pause(self, time: Duration) -> Self {
        let waited = PAUSE.wait_timeout(self.0, time);
        Self(waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}

impl World {
    fn new() -> Self {
        Self {
            file: File::find(),
            inits: 0,
            listed: Vec::new(),
            handles: Vec::new(),
            sets: BTreeMap::new(),
            last_set: 0,
            over: BTreeSet::new(),
        }
    }

    /// What the file says, if the driver is loaded.
    fn loaded(&mut self) -> Result<&Config, Code> {
        let config = self.file.read().filter(|config| config.driver != "not_loaded");
        config.ok_or(Code::DRIVER_NOT_LOADED)
    }

    pub(crate) fn init(&mut self) -> Result<(), Code> {
        let uuids = self.loaded()?.cards.iter().map(|card| card.uuid.clone()).collect();
        if self.inits == 0 {
            self.listed = uuids;
        }
        self.inits += 1;
        Ok(())
    }

    pub(crate) fn shutdown(&mut self) -> Result<(), Code> {
        self.inits = self.inits.checked_sub(1).ok_or(Code::UNINITIALIZED)?;
        if self.inits == 0 {
            self.sets.clear();
        }
        Ok(())
    }

    /// What the file says, if the library was initialised.
    pub(crate) fn config(&mut self) -> Result<&Config, Code> {
        if self.inits == 0 {
            return Err(Code::UNINITIALIZED);
        }
        self.loaded()
    }

    pub(crate) fn count(&mut self) -> Result<u32, Code> {
        self.config()?;
        Ok(u32::try_from(self.listed.len()).unwrap_or(u32::MAX))
    }

    /// The handle of the card at a place.
    pub(crate) fn at(&mut self, index: u32) -> Result<Handle, Code> {
        self.config()?;
        let uuid = self.listed.get(index as usize).cloned().ok_or(Code::INVALID_ARGUMENT)?;
        self.handle(&uuid)
    }

    /// The handle of the card that is meant.
    pub(crate) fn find(&mut self, is_it: impl Fn(&Card, u32) -> bool) -> Result<Handle, Code> {
        let listed = self.listed.clone();
        let place = |card: &Card| (0_u32..).zip(&listed).find(|(_, uuid)| **uuid == card.uuid);
        let cards = &self.config()?.cards;
        let it = cards.iter().find(|card| place(card).is_some_and(|(at, _)| is_it(card, at)));
        let uuid = it.map(|card| card.uuid.clone()).ok_or(Code::NOT_FOUND)?;
        self.handle(&uuid)
    }

    fn handle(&mut self, uuid: &str) -> Result<Handle, Code> {
        let place = self.handles.iter().position(|known| known == uuid).unwrap_or_else(|| {
            self.handles.push(uuid.to_owned());
            self.handles.len() - 1
        });
        let handle = Handle(place + 1);
        self.card(handle)?;
        Ok(handle)
    }

    /// The card behind a handle and its place, if it answers.
    pub(crate) fn card(&mut self, handle: Handle) -> Result<(Card, u32), Code> {
        let place = handle.0.checked_sub(1).ok_or(Code::INVALID_ARGUMENT)?;
        let uuid = self.handles.get(place).cloned().ok_or(Code::INVALID_ARGUMENT)?;
        let at = (0_u32..).zip(&self.listed).find(|(_, listed)| **listed == uuid).map(|(at, _)| at);
        let mut card = self.config()?.cards.iter().find(|card| card.uuid == uuid).cloned();
        if let (Some(card), Some(state)) = (&mut card, self.file.state()) {
            // Beside those of the file: programs that compute.
            card.processes.extend(holders(&state, &uuid).into_iter().map(Process::computing));
        }
        match (card, at) {
            (Some(card), Some(_)) if card.error != 0 => Err(Code(card.error)),
            (Some(card), Some(at)) if !card.lost => Ok((card, at)),
            _ => Err(Code::GPU_IS_LOST),
        }
    }

    /// How often a call that waits for an event looks at the file.
    pub(crate) fn look(&mut self) -> Result<Duration, Code> {
        Ok(Duration::from_millis(self.config()?.look_ms.max(1)))
    }

    pub(crate) fn new_set(&mut self) -> Result<Handle, Code> {
        self.config()?;
        self.last_set += 1;
        self.sets.insert(self.last_set, Set { delivered: self.over.clone(), ..Set::default() });
        Ok(Handle(self.last_set))
    }

    /// The next event for a set: its card's handle, what kind, and the XID.
    pub(crate) fn next_event(&mut self, set: Handle) -> Result<Option<(Handle, u64, u64)>, Code> {
        let events = self.config()?.events.clone();
        let set = self.sets.get_mut(&set.0).ok_or(Code::INVALID_ARGUMENT)?;
        for event in events {
            let (kind, data) = event.kind();
            let wanted = set.wanted.get(&event.card).is_some_and(|wanted| wanted & kind != 0);
            if wanted && set.delivered.insert(event.id) {
                self.over.insert(event.id);
                let place = self.handles.iter().position(|uuid| *uuid == event.card);
                return Ok(place.map(|place| (Handle(place + 1), kind, data)));
            }
        }
        let wanted: Vec<String> = set.wanted.keys().cloned().collect();
        let lives =
            |config: &Config, uuid: &String| config.cards.iter().any(|card| card.uuid == *uuid && !card.lost);
        let config = self.config()?;
        match wanted.iter().all(|uuid| lives(config, uuid)) {
            true => Ok(None),
            false => Err(Code::GPU_IS_LOST),
        }
    }
}

/// Work on a card that answers, as soon as it does.
pub(crate) fn on(device: Handle, work: impl FnOnce(&Card, u32) -> Result<(), Code>) -> std::ffi::c_uint {
    crate::border::call(|| {
        let mut locked = Locked::new();
        let (card, at) = loop {
            match locked.world().card(device)? {
                (card, _) if card.hang => locked = locked.pause(LOOK),
                answers => break answers,
            }
        };
        drop(locked);
        work(&card, at)
    })
}
