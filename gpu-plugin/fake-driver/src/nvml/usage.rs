//! Calls about how a card is used.

use std::ffi::c_uint;

use crate::config::Card;
use crate::nvml::abi::{Handle, Memory, MemoryV2, NO_INSTANCE, NvmlError, Process, Utilization};
use crate::nvml::ffi::{Array, Out};
use crate::nvml::state::with_card;

/// All memory, what the driver keeps, and what programs hold, in bytes.
fn memory(card: &Card) -> (u64, u64, u64) {
    let bytes = |mib: u64| mib.saturating_mul(1 << 20);
    let held = card.processes.iter().map(|process| process.used_mib).sum();
    (bytes(card.memory_mib), bytes(card.reserved_mib), bytes(card.used_mib.unwrap_or(held)))
}

/// The first version counts what the driver keeps as used.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryInfo(device: Handle, info: Out<Memory>) -> c_uint {
    with_card(device, |card, _| {
        let (total, reserved, used) = memory(card);
        let used = used.saturating_add(reserved);
        info.put(Memory { total, free: total.saturating_sub(used), used })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: Handle, info: Out<MemoryV2>) -> c_uint {
    with_card(device, |card, _| {
        let version = info.get()?.version;
        if version != MemoryV2::VERSION {
            return Err(NvmlError::ARGUMENT_VERSION_MISMATCH);
        }
        let (total, reserved, used) = memory(card);
        let free = total.saturating_sub(reserved).saturating_sub(used);
        info.put(MemoryV2 { version, total, reserved, free, used })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUtilizationRates(device: Handle, rates: Out<Utilization>) -> c_uint {
    with_card(device, |card, _| {
        let (total, _, used) = memory(card);
        let memory = used.saturating_mul(100).checked_div(total).unwrap_or(0);
        let memory = c_uint::try_from(memory).unwrap_or(100);
        rates.put(Utilization { gpu: card.utilization, memory })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTemperature(device: Handle, sensor: c_uint, degrees: Out<c_uint>) -> c_uint {
    with_card(device, |card, _| match sensor {
        0 => degrees.put(card.temperature),
        _ => Err(NvmlError::INVALID_ARGUMENT),
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerUsage(device: Handle, milliwatts: Out<c_uint>) -> c_uint {
    with_card(device, |card, _| milliwatts.put(card.power_milliwatts))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: Handle,
    count: Out<c_uint>,
    list: Array<Process>,
) -> c_uint {
    with_card(device, |card, _| processes(card, false, &count, &list))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v3(
    device: Handle,
    count: Out<c_uint>,
    list: Array<Process>,
) -> c_uint {
    with_card(device, |card, _| processes(card, true, &count, &list))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMPSComputeRunningProcesses_v3(
    device: Handle,
    count: Out<c_uint>,
    _list: Array<Process>,
) -> c_uint {
    with_card(device, |_, _| count.put(0))
}

/// `count` says how much room there is and is told how much is needed.
fn processes(
    card: &Card,
    graphics: bool,
    count: &Out<c_uint>,
    list: &Array<Process>,
) -> Result<(), NvmlError> {
    let found = card.processes.iter().filter(|process| process.graphics == graphics);
    let found: Vec<Process> = found
        .map(|process| Process {
            pid: process.pid,
            used: process.used_mib.saturating_mul(1 << 20),
            gpu_instance: NO_INSTANCE,
            compute_instance: NO_INSTANCE,
        })
        .collect();
    let room = count.get()? as usize;
    count.put(c_uint::try_from(found.len()).unwrap_or(c_uint::MAX))?;
    match found.is_empty() {
        true => Ok(()),
        false if list.is_null() => Err(NvmlError::INSUFFICIENT_SIZE),
        false => list.put(room, &found),
    }
}
