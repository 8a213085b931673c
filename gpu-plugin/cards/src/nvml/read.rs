//! What NVML says, in this crate's words.

use std::collections::BTreeMap;

use ideal_gpu::card::CardId;
use nvml_wrapper::Device;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::enums::device::{SampleValue, UsedGpuMemory};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::NVML_FI_DEV_GET_GPU_RECOVERY_ACTION;

use crate::driver::{CardUsage, DriverError, Found, ProcessUsage};

const MIB: u64 = 1 << 20;

/// The words of a bit set of NUMA nodes: the kernel knows 1024 nodes at most (`NODES_SHIFT` is at most 10).
const NODE_WORDS: usize = 1024 / u64::BITS as usize;

/// `NVML_AFFINITY_SCOPE_NODE` of nvml.h.
const SCOPE_NODE: u32 = 0;

/// `nvmlDeviceGpuRecoveryAction_t` of nvml.h: what the driver wants to be done to a card.
mod recovery {
    pub(super) const NONE: u64 = 0;
    pub(super) const GPU_RESET: u64 = 1;
    pub(super) const NODE_REBOOT: u64 = 2;
    pub(super) const DRAIN_P2P: u64 = 3;
    pub(super) const DRAIN_AND_RESET: u64 = 4;
}

/// NVML's error as ours.
pub(super) fn error(error: NvmlError) -> DriverError {
    match error {
        NvmlError::LibloadingError(error) => DriverError::NoDriver(error.to_string()),
        NvmlError::LibraryNotFound => DriverError::NoDriver(NvmlError::LibraryNotFound.to_string()),
        NvmlError::DriverNotLoaded => DriverError::NotLoaded,
        NvmlError::GpuLost => DriverError::Lost,
        NvmlError::ResetRequired => DriverError::ResetRequired(NvmlError::ResetRequired.to_string()),
        other => {
            let text = other.to_string();
            DriverError::Other(format!("{text} (nvmlReturn_t {})", u32::from(other)))
        }
    }
}

/// The handle and name of each card that answers. One that does not is left out: it is missed by who knows it.
pub(super) fn devices(nvml: &nvml_wrapper::Nvml) -> Result<Vec<(CardId, Device<'_>)>, DriverError> {
    let mut devices = Vec::new();
    for index in 0..nvml.device_count().map_err(error)? {
        match nvml.device_by_index(index).map_err(error).and_then(|device| Ok((card_id(&device)?, device))) {
            Ok(device) => devices.push(device),
            Err(error) if error.is_absent() => return Err(error),
            Err(error) => tracing::warn!(index, %error, "a card does not answer"),
        }
    }
    Ok(devices)
}

fn card_id(device: &Device<'_>) -> Result<CardId, DriverError> {
    let uuid = device.uuid().map_err(error)?;
    CardId::parse(&uuid).map_err(|bad| DriverError::Other(bad.to_string()))
}

/// Lists the cards.
pub(super) fn cards(nvml: &nvml_wrapper::Nvml) -> Result<Vec<Found>, DriverError> {
    let driver = nvml.sys_driver_version().map_err(error)?;
    let mut cards = Vec::new();
    for (id, device) in devices(nvml)? {
        match found(id.clone(), &device, &driver) {
            Ok(card) => cards.push(card),
            Err(error) if error.is_absent() => return Err(error),
            Err(error) => tracing::warn!(card = %id, %error, "a card does not answer"),
        }
    }
    Ok(cards)
}

fn found(id: CardId, device: &Device<'_>, driver: &str) -> Result<Found, DriverError> {
    let memory = memory(device)?;
    let reset_required = match recovery(device) {
        Err(DriverError::ResetRequired(what)) => Some(what),
        _ => None,
    };
    Ok(Found {
        id,
        model: device.name().map_err(error)?,
        index: device.index().map_err(error)?,
        minor: device.minor_number().map_err(error)?,
        pci: device.pci_info().map_err(error)?.bus_id,
        memory_mib: memory.total.saturating_sub(memory.reserved) / MIB,
        numa: numa(device),
        // Cards that cannot be cut say NotSupported.
        mig: device.mig_mode().is_ok_and(|mode| mode.current != 0),
        driver: driver.to_owned(),
        reset_required,
        incarnation: 0,
    })
}

/// Only the second version of the question tells what the driver keeps for itself, and the wrapper has no other.
fn memory(device: &Device<'_>) -> Result<nvml_wrapper::struct_wrappers::device::MemoryInfo, DriverError> {
    device.memory_info().map_err(|raised| match raised {
        NvmlError::FailedToLoadSymbol(_) => DriverError::Other(
            "the driver is older than R510 and does not tell what memory it keeps".to_owned(),
        ),
        other => error(other),
    })
}

/// The one NUMA node whose memory is nearest. `nvmlDeviceGetNumaNodeId` is another thing: the node that the card's own memory
/// makes on machines like GH200, which has no processors.
fn numa(device: &Device<'_>) -> Option<u32> {
    let words = device.memory_affinity(NODE_WORDS, SCOPE_NODE).ok()?;
    let mut nodes = (0_u32..).zip(words).filter(|(_, word)| *word != 0);
    let (at, word) = nodes.next()?;
    // Several nodes are as good as none: the kernel does not know.
    let one = nodes.next().is_none() && word.is_power_of_two();
    one.then(|| at * u64::BITS + word.trailing_zeros())
}

/// Whether a card answers and asks for no reset.
pub(super) fn probe(nvml: &nvml_wrapper::Nvml, card: &CardId) -> Result<(), DriverError> {
    let device = nvml.device_by_uuid(card.as_str()).map_err(|raised| match raised {
        NvmlError::NotFound => DriverError::Lost,
        other => error(other),
    })?;
    device.memory_info().map_err(error)?;
    // Asks the card and not only the driver. Cards without a sensor say NotSupported.
    match device.temperature(TemperatureSensor::Gpu) {
        Ok(_) | Err(NvmlError::NotSupported) => recovery(&device),
        Err(raised) => Err(error(raised)),
    }
}

/// What the driver wants to be done to the card. Drivers before R565 cannot say, and then nothing is asked for.
fn recovery(device: &Device<'_>) -> Result<(), DriverError> {
    let fields = device.field_values_for(&[FieldId(NVML_FI_DEV_GET_GPU_RECOVERY_ACTION)]);
    let sample = fields.ok().and_then(|fields| fields.into_iter().next()?.ok());
    let action = match sample.and_then(|sample| sample.value.ok()) {
        Some(SampleValue::U32(action)) => u64::from(action),
        Some(SampleValue::U64(action)) => action,
        _ => recovery::NONE,
    };
    let reset = |what: &str| Err(DriverError::ResetRequired(what.to_owned()));
    match action {
        recovery::GPU_RESET => reset("reset the card"),
        recovery::NODE_REBOOT => reset("reboot the machine"),
        recovery::DRAIN_AND_RESET => reset("let its programs end, then reset the card"),
        // Passes by itself when the traffic has ended.
        recovery::DRAIN_P2P => Err(DriverError::Other("traffic between cards must end first".to_owned())),
        _ => Ok(()),
    }
}

/// How each card is used.
pub(super) fn usage(nvml: &nvml_wrapper::Nvml) -> Result<Vec<CardUsage>, DriverError> {
    let mut usage = Vec::new();
    for (card, device) in devices(nvml)? {
        let Ok(memory) = memory(&device) else { continue };
        usage.push(CardUsage {
            card,
            total_bytes: memory.total,
            reserved_bytes: memory.reserved,
            used_bytes: memory.used,
            busy_percent: device.utilization_rates().ok().map(|rates| rates.gpu),
            temperature: device.temperature(TemperatureSensor::Gpu).ok(),
            power_milliwatts: device.power_usage().ok(),
            processes: processes(&device),
        });
    }
    Ok(usage)
}

/// A program that computes and draws is in both lists, each time with all that it holds.
fn processes(device: &Device<'_>) -> Vec<ProcessUsage> {
    let compute = device.running_compute_processes().unwrap_or_default();
    let graphics = device.running_graphics_processes().unwrap_or_default();
    let mut held: BTreeMap<u32, Option<u64>> = BTreeMap::new();
    for process in compute.into_iter().chain(graphics) {
        let bytes = match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        };
        let most = held.entry(process.pid).or_default();
        *most = (*most).max(bytes);
    }
    held.into_iter().map(|(pid, used_bytes)| ProcessUsage { pid, used_bytes }).collect()
}
