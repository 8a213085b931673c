//! Calls about sets of events.

use std::ffi::{c_uint, c_ulonglong};
use std::time::{Duration, Instant};

use crate::config::Event;
use crate::nvml::abi::{EVENT_MIG, EVENT_XID, EventData, Handle, NO_INSTANCE, NvmlError};
use crate::nvml::ffi::{Out, call};
use crate::nvml::state::{lock_state, sleep_unlocked, with_card};

impl Event {
    /// As NVML tells it: the kind, and the XID.
    pub(crate) fn kind(&self) -> (u64, u64) {
        match self.xid {
            Some(xid) if !self.mig => (EVENT_XID, u64::from(xid)),
            _ => (EVENT_MIG, 0),
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetCreate(set: Out<Handle>) -> c_uint {
    call(|| set.put(lock_state().new_set()?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetFree(set: Handle) -> c_uint {
    call(|| {
        let freed = lock_state().sets.remove(&set.0);
        freed.map(|_| ()).ok_or(NvmlError::INVALID_ARGUMENT)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetSupportedEventTypes(device: Handle, types: Out<c_ulonglong>) -> c_uint {
    with_card(device, |card, _| types.put(EVENT_XID | card.mig.map_or(0, |_| EVENT_MIG)))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceRegisterEvents(device: Handle, types: c_ulonglong, set: Handle) -> c_uint {
    call(|| {
        let mut state = lock_state();
        let (card, _) = state.card(device)?;
        if types & !(EVENT_XID | card.mig.map_or(0, |_| EVENT_MIG)) != 0 {
            return Err(NvmlError::NOT_SUPPORTED);
        }
        let set = state.sets.get_mut(&set.0).ok_or(NvmlError::INVALID_ARGUMENT)?;
        *set.registered.entry(card.uuid).or_default() |= types;
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetWait_v2(set: Handle, data: Out<EventData>, timeout_ms: c_uint) -> c_uint {
    call(|| {
        let patience = Duration::from_millis(u64::from(timeout_ms));
        let start = Instant::now();
        let mut state = lock_state();
        loop {
            if let Some((device, kind, xid)) = state.next_event(set)? {
                let instances = NO_INSTANCE;
                let (gpu_instance, compute_instance) = (instances, instances);
                return data.put(EventData { device, kind, data: xid, gpu_instance, compute_instance });
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(NvmlError::TIMEOUT);
            }
            let interval = state.poll_interval()?;
            sleep_unlocked(&mut state, interval.min(left));
        }
    })
}
