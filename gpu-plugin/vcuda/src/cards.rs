//! The cards of this process and their limits.

use std::ffi::c_int;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::abi::{CUDA_ERROR_NOT_PERMITTED, CUDA_SUCCESS, CUcontext, CUdevice, CUresult, CUuuid};
use crate::accounting::{self, Accounting, CardCounters};
use crate::driver::{DriverFunction, Library};
use crate::limits;
use crate::log;

/// A card of the container.
#[derive(Debug)]
pub(crate) struct Card {
    /// Its index in the limits file, and so in the accounting.
    pub(crate) index: usize,
    pub(crate) uuid: String,
    pub(crate) limit_bytes: u64,
    /// 1 to 100.
    pub(crate) core_percent: u32,
    /// What a context is charged with, in bytes.
    pub(crate) context_bytes: u64,
    /// What the container's processes share of it.
    pub(crate) counters: CardCounters,
}

/// Every card of the limits file, in its order; empty where nothing may be done.
pub(crate) fn all() -> &'static [Card] {
    static CARDS: OnceLock<Vec<Card>> = OnceLock::new();
    CARDS.get_or_init(|| {
        let (Some(limits), Some(accounting)) = (limits::get(), accounting::get()) else { return Vec::new() };
        let card = |(index, card): (usize, &ideal_gpu::limits::CardLimit)| Card {
            index,
            uuid: card.uuid.to_string(),
            limit_bytes: card.memory_mib.saturating_mul(1 << 20),
            core_percent: card.core_percent,
            context_bytes: card.context_mib.saturating_mul(1 << 20),
            counters: accounting.card(index),
        };
        limits.cards.iter().enumerate().map(card).collect()
    })
}

/// The accounting, where everything that is needed to hold the limits is there.
pub(crate) fn accounting() -> Result<&'static Accounting, CUresult> {
    match accounting::get() {
        Some(accounting) if !all().is_empty() => Ok(accounting),
        _ => Err(CUDA_ERROR_NOT_PERMITTED),
    }
}

/// The card with this UUID, as NVML writes it.
pub(crate) fn with_uuid(uuid: &str) -> Option<&'static Card> {
    all().iter().find(|card| card.uuid == uuid)
}

/// Devices of a process at most whose card is remembered; there are never more cards in a machine.
const DEVICES: usize = 64;

/// The card behind a device of this process.
pub(crate) fn for_device(device: CUdevice) -> Result<&'static Card, CUresult> {
    static KNOWN: [AtomicPtr<Card>; DEVICES] = [const { AtomicPtr::new(std::ptr::null_mut()) }; DEVICES];
    let known = usize::try_from(device).ok().and_then(|device| KNOWN.get(device));
    // SAFETY: null, or a card of `all()`, which lives as long as the process and is never changed.
    if let Some(card) = known.and_then(|known| unsafe { known.load(Ordering::Acquire).as_ref() }) {
        return Ok(card);
    }
    accounting()?;
    let uuid = uuid(device)?;
    let Some(card) = with_uuid(&uuid) else {
        log::error(&format!("card {uuid} does not belong to this container. CUDA is refused on it"));
        return Err(CUDA_ERROR_NOT_PERMITTED);
    };
    if let Some(known) = known {
        known.store(std::ptr::from_ref(card).cast_mut(), Ordering::Release);
    }
    Ok(card)
}

fn uuid(device: CUdevice) -> Result<String, CUresult> {
    type GetUuid = unsafe extern "C" fn(*mut CUuuid, CUdevice) -> CUresult;
    static V2: DriverFunction<GetUuid> = DriverFunction::new(Library::Cuda, c"cuDeviceGetUuid_v2");
    static V1: DriverFunction<GetUuid> = DriverFunction::new(Library::Cuda, c"cuDeviceGetUuid");
    // SAFETY: both have this signature in cuda.h. The second is older than the first, which drivers before 11.4 do not have.
    let get = unsafe { V2.get().or_else(|| V1.get()) }.ok_or(CUDA_ERROR_NOT_PERMITTED)?;
    let mut uuid = CUuuid::default();
    // SAFETY: what it writes to is on this stack.
    match unsafe { get(&raw mut uuid, device) } {
        CUDA_SUCCESS => Ok(format_uuid(&uuid)),
        error => Err(error),
    }
}

/// As NVML writes it.
fn format_uuid(uuid: &CUuuid) -> String {
    let mut text = String::from("GPU-");
    for (at, byte) in uuid.bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&at) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// The context that is current on this thread, and its card.
pub(crate) fn current_context() -> Result<(CUcontext, &'static Card), CUresult> {
    static CONTEXT: DriverFunction<unsafe extern "C" fn(*mut CUcontext) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuCtxGetCurrent");
    let mut context = std::ptr::null_mut();
    // SAFETY: the signature is cuda.h's.
    let get = unsafe { CONTEXT.get() }.ok_or(CUDA_ERROR_NOT_PERMITTED)?;
    // SAFETY: what it writes to is on this stack.
    match unsafe { get(&raw mut context) } {
        CUDA_SUCCESS => Ok((context, for_device(current_device()?)?)),
        error => Err(error),
    }
}

/// The device of the context that is current on this thread.
pub(crate) fn current_device() -> Result<CUdevice, CUresult> {
    static DEVICE: DriverFunction<unsafe extern "C" fn(*mut CUdevice) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuCtxGetDevice");
    let mut device: c_int = 0;
    // SAFETY: the signature is cuda.h's.
    let get = unsafe { DEVICE.get() }.ok_or(CUDA_ERROR_NOT_PERMITTED)?;
    // SAFETY: what it writes to is on this stack.
    match unsafe { get(&raw mut device) } {
        CUDA_SUCCESS => Ok(device),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_written_as_nvml_writes_it() {
        let bytes = std::array::from_fn(|at| u8::try_from(at * 17 % 256).unwrap());
        assert_eq!(format_uuid(&CUuuid { bytes }), "GPU-00112233-4455-6677-8899-aabbccddeeff");
    }
}
