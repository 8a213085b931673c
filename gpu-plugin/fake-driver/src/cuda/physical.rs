//! Physical memory and addresses apart (`cuMemCreate` and its kin). It is the card's until its last handle and mapping are gone.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{c_int, c_uint, c_void};

use super::abi::{Fault, call, get, put};
use super::memory::{BLOCK, map, unmap};
use super::process::{device, devices, process};

#[derive(Debug)]
struct Physical {
    /// None where it lies in host memory.
    device: Option<usize>,
    bytes: u64,
    handles: u32,
    mappings: u32,
}

/// What this process has of it.
#[derive(Debug, Default)]
pub(crate) struct Store {
    physical: HashMap<u64, Physical>,
    /// By address: bytes, and what is mapped there.
    mappings: BTreeMap<u64, (u64, u64)>,
}

impl Store {
    fn less(&mut self, handle: u64, change: impl FnOnce(&mut Physical)) -> Result<(), Fault> {
        let it = self.physical.get_mut(&handle).ok_or(Fault::INVALID_VALUE)?;
        change(it);
        if it.handles == 0 && it.mappings == 0 {
            if let Some(at) = it.device {
                devices()?[at].card.release(it.bytes);
            }
            self.physical.remove(&handle);
        }
        Ok(())
    }
}

/// `CUmemAllocationProp`, as far as it is read: kind, handle types, kind of place, number of place.
type Properties = [c_int; 4];

#[unsafe(no_mangle)]
extern "C" fn cuMemCreate(
    handle: *mut u64,
    bytes: usize,
    properties: *const Properties,
    _flags: u64,
) -> c_uint {
    call(|| {
        let [_, _, place, number] = get(properties)?;
        let bytes = bytes as u64;
        if bytes == 0 || !bytes.is_multiple_of(BLOCK) {
            return Err(Fault::INVALID_VALUE);
        }
        let on = match place {
            1 => Some(device(number)?.0),
            2..=4 => None,
            _ => return Err(Fault::INVALID_VALUE),
        };
        if let Some(at) = on {
            devices()?[at].card.reserve(bytes)?;
        }
        let mut process = process();
        let new = process.handle() as u64;
        process.physical.physical.insert(new, Physical { device: on, bytes, handles: 1, mappings: 0 });
        put(handle, new)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemRelease(handle: u64) -> c_uint {
    call(|| {
        let mut process = process();
        let held = process.physical.physical.get(&handle).is_some_and(|it| it.handles > 0);
        if !held {
            return Err(Fault::INVALID_VALUE);
        }
        process.physical.less(handle, |it| it.handles -= 1)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAddressReserve(
    place: *mut u64,
    bytes: usize,
    _alignment: usize,
    _wish: u64,
    _flags: u64,
) -> c_uint {
    call(|| put(place, map((bytes as u64).next_multiple_of(BLOCK))?))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAddressFree(at: u64, bytes: usize) -> c_uint {
    unmap(at, (bytes as u64).next_multiple_of(BLOCK));
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuMemMap(at: u64, bytes: usize, offset: usize, handle: u64, _flags: u64) -> c_uint {
    call(|| {
        let mut process = process();
        let it = process.physical.physical.get_mut(&handle).ok_or(Fault::INVALID_VALUE)?;
        if (offset + bytes) as u64 > it.bytes {
            return Err(Fault::INVALID_VALUE);
        }
        it.mappings += 1;
        process.physical.mappings.insert(at, (bytes as u64, handle));
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemUnmap(at: u64, bytes: usize) -> c_uint {
    call(|| {
        let mut process = process();
        let range = process.physical.mappings.range(at..at + bytes as u64);
        let inside: Vec<u64> = range.map(|(at, _)| *at).collect();
        for at in inside {
            if let Some((_, handle)) = process.physical.mappings.remove(&at) {
                process.physical.less(handle, |it| it.mappings -= 1)?;
            }
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemSetAccess(_at: u64, _bytes: usize, _access: *const c_void, _count: usize) -> c_uint {
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuMemRetainAllocationHandle(handle: *mut u64, address: u64) -> c_uint {
    call(|| {
        let mut process = process();
        let found = process.physical.mappings.range(..=address).next_back();
        let (_, (_, it)) =
            found.filter(|(at, (bytes, _))| address - **at < *bytes).ok_or(Fault::INVALID_VALUE)?;
        let it = *it;
        process.physical.less(it, |physical| physical.handles += 1)?;
        put(handle, it)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemGetAllocationGranularity(
    bytes: *mut usize,
    _properties: *const Properties,
    _option: c_uint,
) -> c_uint {
    call(|| put(bytes, BLOCK as usize))
}
