//! Calls about what a card is.

use std::ffi::{c_char, c_int, c_uint, c_ulong};

use crate::config::Card;
use crate::nvml::abi::{self, FieldValue, Handle, NvmlError, PciInfo};
use crate::nvml::ffi::{Array, Out, Text, call, fixed};
use crate::nvml::state::{lock_state, with_card};

/// H100's number, behind NVIDIA's: a device id is only ever printed.
const PCI_DEVICE_ID: c_uint = 0x2330_10DE;

/// The most parts that any card can be cut into by MIG.
const MIG_PARTS: c_uint = 7;

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCount_v2(count: Out<c_uint>) -> c_uint {
    call(|| count.put(lock_state().count()?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCount(count: Out<c_uint>) -> c_uint {
    nvmlDeviceGetCount_v2(count)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: Out<Handle>) -> c_uint {
    call(|| device.put(lock_state().at(index)?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByIndex(index: c_uint, device: Out<Handle>) -> c_uint {
    nvmlDeviceGetHandleByIndex_v2(index, device)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByUUID(uuid: Text, device: Out<Handle>) -> c_uint {
    call(|| {
        let uuid = uuid.get()?;
        device.put(lock_state().find(|card, _| card.uuid == uuid)?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByPciBusId_v2(id: Text, device: Out<Handle>) -> c_uint {
    call(|| {
        // The domain is written with four digits or with eight.
        let wanted = parse_pci(&id.get()?).ok_or(NvmlError::INVALID_ARGUMENT)?;
        device.put(lock_state().find(|card, at| parse_pci(&pci_bus_id(card, at)) == Some(wanted))?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByPciBusId(id: Text, device: Out<Handle>) -> c_uint {
    nvmlDeviceGetHandleByPciBusId_v2(id, device)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUUID(device: Handle, uuid: Array<c_char>, length: c_uint) -> c_uint {
    with_card(device, |card, _| uuid.text(length, &card.uuid))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetName(device: Handle, name: Array<c_char>, length: c_uint) -> c_uint {
    with_card(device, |card, _| name.text(length, &card.model))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetIndex(device: Handle, index: Out<c_uint>) -> c_uint {
    with_card(device, |_, at| index.put(at))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMinorNumber(device: Handle, minor: Out<c_uint>) -> c_uint {
    with_card(device, |card, at| minor.put(card.minor.unwrap_or(at)))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPciInfo_v3(device: Handle, info: Out<PciInfo>) -> c_uint {
    with_card(device, |card, at| {
        let id = pci_bus_id(card, at);
        let (domain, bus, slot) = parse_pci(&id).ok_or(NvmlError::UNKNOWN)?;
        info.put(PciInfo {
            bus_id_legacy: fixed(&format!("{:04X}:{bus:02X}:{slot:02X}.0", domain & 0xffff)),
            domain,
            bus,
            device: slot,
            device_id: PCI_DEVICE_ID,
            subsystem_id: 0,
            bus_id: fixed(&id),
        })
    })
}

/// The card's bus id, or one made from its place.
fn pci_bus_id(card: &Card, at: u32) -> String {
    card.pci.clone().unwrap_or_else(|| format!("00000000:{:02X}:00.0", at + 1))
}

/// Domain, bus and slot of a bus id.
fn parse_pci(id: &str) -> Option<(u32, u32, u32)> {
    let (rest, _function) = id.rsplit_once('.')?;
    let mut numbers = rest.split(':').map(|number| u32::from_str_radix(number, 16).ok());
    let found = (numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some(found)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMigMode(device: Handle, current: Out<c_uint>, pending: Out<c_uint>) -> c_uint {
    with_card(device, |card, _| {
        let mode = c_uint::from(card.mig.ok_or(NvmlError::NOT_SUPPORTED)?);
        current.put(mode)?;
        pending.put(mode)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMaxMigDeviceCount(device: Handle, count: Out<c_uint>) -> c_uint {
    with_card(device, |card, _| count.put(card.mig.map_or(0, |_| MIG_PARTS)))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(device: Handle, _at: c_uint, _part: Out<Handle>) -> c_uint {
    with_card(device, |_, _| Err(NvmlError::NOT_FOUND))
}

/// The card's memory is no NUMA node of its own, as on every machine but those like GH200.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetNumaNodeId(device: Handle, _node: Out<c_uint>) -> c_uint {
    with_card(device, |_, _| Err(NvmlError::NOT_SUPPORTED))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryAffinity(
    device: Handle,
    words: c_uint,
    nodes: Array<c_ulong>,
    _scope: c_uint,
) -> c_uint {
    with_card(device, |card, _| {
        let node = card.numa.ok_or(NvmlError::NOT_SUPPORTED)?;
        let (word, bit) = ((node / c_ulong::BITS) as usize, node % c_ulong::BITS);
        let set: Vec<c_ulong> = (0..words as usize).map(|at| if at == word { 1 << bit } else { 0 }).collect();
        nodes.put(words as usize, &set)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCudaComputeCapability(
    device: Handle,
    major: Out<c_int>,
    minor: Out<c_int>,
) -> c_uint {
    with_card(device, |_, _| {
        major.put(9)?;
        minor.put(0)
    })
}

/// Default: every program may use it.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetComputeMode(device: Handle, mode: Out<c_uint>) -> c_uint {
    with_card(device, |_, _| mode.put(0))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPersistenceMode(device: Handle, mode: Out<c_uint>) -> c_uint {
    with_card(device, |_, _| mode.put(1))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetFieldValues(device: Handle, count: c_int, values: Array<FieldValue>) -> c_uint {
    with_card(device, |card, _| {
        let count =
            usize::try_from(count).ok().filter(|count| *count > 0).ok_or(NvmlError::INVALID_ARGUMENT)?;
        values.change(count, |value| match value.field {
            abi::FIELD_RECOVERY_ACTION => {
                FieldValue { kind: abi::VALUE_UNSIGNED_INT, code: 0, value: [card.recovery, 0], ..value }
            }
            _ => FieldValue { code: NvmlError::NOT_SUPPORTED.0, ..value },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_id_is_read_in_both_of_its_forms() {
        assert_eq!(parse_pci("00000000:3B:00.0"), Some((0, 0x3b, 0)));
        assert_eq!(parse_pci("0001:af:1f.0"), Some((1, 0xaf, 0x1f)));
        for bad in ["", "3B:00.0", "0:3B:00", "0:0:0:0.0", "x:3B:00.0"] {
            assert_eq!(parse_pci(bad), None, "{bad}");
        }
    }
}
