//! The events of every card, from the start of a session to its end.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::Duration;

use ideal_gpu::card::CardId;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::event::EventData;
use nvml_wrapper::{Device, EventSet};

use super::read;
use crate::driver::{CardEvent, DriverError};

/// What NVML puts in place of an XID that it does not know.
const UNKNOWN_XID: u32 = 999;

/// A set of events, and the cards that are in it.
pub(super) struct Watch<'n> {
    nvml: &'n nvml_wrapper::Nvml,
    /// None while no card can be watched.
    set: Option<EventSet<'n>>,
    devices: Vec<(CardId, Device<'n>)>,
    pending: VecDeque<CardEvent>,
}

impl<'n> Watch<'n> {
    /// Watches every card that answers.
    pub(super) fn new(nvml: &'n nvml_wrapper::Nvml) -> Result<Self, DriverError> {
        let devices = read::devices(nvml)?;
        let mut watch = Self { nvml, set: None, devices, pending: VecDeque::new() };
        watch.arm()?;
        Ok(watch)
    }

    /// Puts every card into a new set. NVML's wrapper gives a set up when a card cannot be put into it, so the set is begun
    /// anew without that card.
    fn arm(&mut self) -> Result<(), DriverError> {
        let mut refused: Vec<CardId> = Vec::new();
        'anew: loop {
            self.set = None;
            let mut set = self.nvml.create_event_set().map_err(read::error)?;
            let mut watched = 0;
            for (id, device) in &self.devices {
                let wanted = EventTypes::CRITICAL_XID_ERROR | EventTypes::MIG_CONFIG_CHANGE;
                let types = device.supported_event_types().unwrap_or(EventTypes::empty()) & wanted;
                if types.is_empty() || refused.contains(id) {
                    continue;
                }
                set = match device.register_events(types, set) {
                    Ok(set) => set,
                    Err(error) => {
                        tracing::warn!(card = %id, %error, "the driver does not report this card's errors");
                        refused.push(id.clone());
                        continue 'anew;
                    }
                };
                watched += 1;
            }
            // NVML is not asked to wait for an empty set: what it does then is not documented.
            self.set = (watched > 0).then_some(set);
            return Ok(());
        }
    }

    /// The next event, waited for no longer than `patience`.
    pub(super) fn next(&mut self, patience: Duration) -> Result<Option<CardEvent>, DriverError> {
        if let Some(event) = self.pending.pop_front() {
            return Ok(Some(event));
        }
        let millis = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        let Some(set) = &self.set else {
            let (_open, silence) = mpsc::channel::<()>();
            // Runs into the time-out, which is what it is for.
            let _ = silence.recv_timeout(patience);
            return Ok(None);
        };
        match set.wait(millis) {
            Ok(data) => self.heard(&data)?,
            Err(NvmlError::Timeout) => {}
            Err(NvmlError::GpuLost) => {
                if !self.drop_lost()? {
                    return Err(DriverError::Other("a card is lost, and every card answers".to_owned()));
                }
            }
            Err(error) => return Err(read::error(error)),
        }
        Ok(self.pending.pop_front())
    }

    fn heard(&mut self, data: &EventData<'_>) -> Result<(), DriverError> {
        let Some(card) = data.device.uuid().ok().and_then(|uuid| CardId::parse(&uuid).ok()) else {
            // A card that cannot even say its name any more is found by asking each.
            if !self.drop_lost()? {
                tracing::warn!(event = ?data.event_type, "an event of a card that is not known");
            }
            return Ok(());
        };
        if data.event_type.contains(EventTypes::MIG_CONFIG_CHANGE) {
            self.pending.push_back(CardEvent::Recut { card: card.clone() });
        }
        if let Some(xid) = &data.event_data {
            let number = match xid {
                XidError::Value(number) => u32::try_from(*number).unwrap_or(UNKNOWN_XID),
                XidError::Unknown => UNKNOWN_XID,
            };
            self.pending.push_back(CardEvent::Xid { card, number });
        }
        Ok(())
    }

    /// Takes the cards that have fallen off out of the set, for NVML would answer with them alone. True if there was one.
    fn drop_lost(&mut self) -> Result<bool, DriverError> {
        let is_lost = |device: &Device<'_>| matches!(device.memory_info(), Err(NvmlError::GpuLost));
        let (lost, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.devices).into_iter().partition(|(_, device)| is_lost(device));
        self.devices = left;
        if lost.is_empty() {
            return Ok(false);
        }
        self.pending.extend(lost.into_iter().map(|(card, _)| CardEvent::Lost { card }));
        self.arm()?;
        Ok(true)
    }
}
