//! NVML: memory sizes are reported as those of the slice, and calls that change a shared card are refused.

use std::ffi::{CStr, c_char, c_uint, c_void};

use crate::cards;
use crate::driver::{DriverFunction, Library};
use crate::hook::{hooks, refusals};
use crate::memory::charge;

/// `nvmlReturn_t`, `nvmlDevice_t` and the numbers of nvml.h.
pub(crate) type Return = c_uint;
type Device = *mut c_void;
const SUCCESS: Return = 0;
const NO_PERMISSION: Return = 4;
const FUNCTION_NOT_FOUND: Return = 13;
/// `NVML_DEVICE_UUID_V2_BUFFER_SIZE`
const UUID_BYTES: usize = 96;

/// `nvmlMemory_t`
#[repr(C)]
pub(crate) struct Memory {
    total: u64,
    free: u64,
    used: u64,
}

/// `nvmlMemory_v2_t`
#[repr(C)]
pub(crate) struct MemoryV2 {
    version: c_uint,
    total: u64,
    reserved: u64,
    free: u64,
    used: u64,
}

hooks! { Nvml, FUNCTION_NOT_FOUND;
    "tells the slice" fn nvmlDeviceGetMemoryInfo(device: Device, memory: *mut Memory) -> Return |real| {
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(device, memory) };
        if result != SUCCESS {
            return result;
        }
        // SAFETY: NVML has written the whole of it.
        report_slice(device, unsafe { &mut *memory }, |memory, total, used| {
            (memory.total, memory.used, memory.free) = (total, used, total - used);
        })
    }
    "tells the slice" fn nvmlDeviceGetMemoryInfo_v2(device: Device, memory: *mut MemoryV2) -> Return |real| {
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(device, memory) };
        if result != SUCCESS {
            return result;
        }
        // SAFETY: NVML has written the whole of it.
        report_slice(device, unsafe { &mut *memory }, |memory, total, used| {
            (memory.total, memory.used, memory.free, memory.reserved) = (total, used, total - used, 0);
        })
    }
}

/// Replaces the card's memory sizes by those of the slice. Where these are not known, the caller gets zeros and an error.
fn report_slice<M>(device: Device, memory: &mut M, write: impl Fn(&mut M, u64, u64)) -> Return {
    let card = uuid(device).and_then(|uuid| cards::with_uuid(&uuid));
    match card.and_then(|card| charge::limit_and_used(card).ok()) {
        Some((total, used)) => {
            write(memory, total, used.min(total));
            SUCCESS
        }
        None => {
            write(memory, 0, 0);
            NO_PERMISSION
        }
    }
}

fn uuid(device: Device) -> Option<String> {
    static UUID: DriverFunction<unsafe extern "C" fn(Device, *mut c_char, c_uint) -> Return> =
        DriverFunction::new(Library::Nvml, c"nvmlDeviceGetUUID");
    let mut text: [c_char; UUID_BYTES] = [0; UUID_BYTES];
    // SAFETY: the signature is nvml.h's.
    let get = unsafe { UUID.get() }?;
    // SAFETY: a device that NVML has just known, and a buffer of the size that is given.
    if unsafe { get(device, text.as_mut_ptr(), UUID_BYTES as c_uint) } != SUCCESS {
        return None;
    }
    // SAFETY: NVML has written a text that ends with NUL.
    unsafe { CStr::from_ptr(text.as_ptr()) }.to_str().ok().map(str::to_owned)
}

/// What changes a card, or the machine, for all that share it.
pub(super) mod refused {
    use super::{NO_PERMISSION, Return, refusals};

    refusals! { Nvml, Return, NO_PERMISSION;
        "refused: changes the card for all that share it":
            nvmlComputeInstanceDestroy nvmlDeviceClearAccountingPids nvmlDeviceClearEccErrorCounts
            nvmlDeviceClearFieldValues nvmlDeviceCreateGpuInstance nvmlDeviceCreateGpuInstanceWithPlacement
            nvmlDeviceDiscoverGpus nvmlDeviceFreezeNvLinkUtilizationCounter
            nvmlDeviceLockNvlinkRemapTable_v1 nvmlDeviceModifyDrainState
            nvmlDevicePowerSmoothingActivatePresetProfile nvmlDevicePowerSmoothingSetState
            nvmlDevicePowerSmoothingUpdatePresetProfileParam nvmlDeviceReadWritePRM_v1 nvmlDeviceRemoveGpu
            nvmlDeviceRemoveGpu_v2 nvmlDeviceResetApplicationsClocks nvmlDeviceResetGpuLockedClocks
            nvmlDeviceResetMemoryLockedClocks nvmlDeviceResetNvLinkErrorCounters
            nvmlDeviceResetNvLinkUtilizationCounter nvmlDeviceSetAPIRestriction nvmlDeviceSetAccountingMode
            nvmlDeviceSetAdaptiveTgpMode_v1 nvmlDeviceSetApplicationsClocks
            nvmlDeviceSetAutoBoostedClocksEnabled nvmlDeviceSetClockOffsets nvmlDeviceSetComputeMode
            nvmlDeviceSetConfComputeUnprotectedMemSize nvmlDeviceSetDefaultAutoBoostedClocksEnabled
            nvmlDeviceSetDefaultFanSpeed nvmlDeviceSetDefaultFanSpeed_v2 nvmlDeviceSetDramEncryptionMode
            nvmlDeviceSetDriverModel nvmlDeviceSetEccMode nvmlDeviceSetFanControlPolicy
            nvmlDeviceSetFanSpeed nvmlDeviceSetFanSpeed_v2 nvmlDeviceSetGpcClkVfOffset
            nvmlDeviceSetGpuLockedClocks nvmlDeviceSetGpuOperationMode nvmlDeviceSetHostname_v1
            nvmlDeviceSetMemClkVfOffset nvmlDeviceSetMemoryLimits_v1 nvmlDeviceSetMemoryLockedClocks
            nvmlDeviceSetMigMode nvmlDeviceSetNvLinkDeviceLowPowerThreshold
            nvmlDeviceSetNvLinkUtilizationControl nvmlDeviceSetNvlinkBwMode
            nvmlDeviceSetNvlinkBwModeAsync_v1 nvmlDeviceSetNvlinkNvleReady_v1 nvmlDeviceSetPersistenceMode
            nvmlDeviceSetPowerManagementLimit nvmlDeviceSetPowerManagementLimit_v2
            nvmlDeviceSetPowerMizerMode_v1 nvmlDeviceSetRusdSettings_v1 nvmlDeviceSetTemperatureThreshold
            nvmlDeviceSetVgpuCapabilities nvmlDeviceSetVgpuHeterogeneousMode nvmlDeviceSetVgpuSchedulerState
            nvmlDeviceSetVgpuSchedulerState_v2 nvmlDeviceSetVirtualizationMode
            nvmlDeviceSetupNvlinkNvleEncryptionKey_v1 nvmlDeviceVgpuForceGspUnload
            nvmlDeviceWorkloadPowerProfileClearRequestedProfiles
            nvmlDeviceWorkloadPowerProfileSetRequestedProfiles
            nvmlDeviceWorkloadPowerProfileUpdateProfiles_v1 nvmlGpmSetStreamingEnabled
            nvmlGpuInstanceCreateComputeInstance nvmlGpuInstanceCreateComputeInstanceWithPlacement
            nvmlGpuInstanceDestroy nvmlGpuInstanceSetVgpuHeterogeneousMode
            nvmlGpuInstanceSetVgpuSchedulerState nvmlGpuInstanceSetVgpuSchedulerState_v2 nvmlSetVgpuVersion
            nvmlSystemSetConfComputeGpusReadyState nvmlSystemSetConfComputeKeyRotationThresholdInfo
            nvmlSystemSetNvlinkBwMode nvmlUnitSetLedState nvmlVgpuInstanceClearAccountingPids
            nvmlVgpuInstanceSetEncoderCapacity;
    }
}
