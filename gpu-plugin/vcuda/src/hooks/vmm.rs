//! Virtual memory management: physical memory and addresses apart.

use std::ffi::{c_int, c_void};

use crate::abi::{
    CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_FOUND, CUDA_ERROR_NOT_SUPPORTED, CUDA_ERROR_OUT_OF_MEMORY,
    CUdeviceptr, CUresult, Unsigned,
};
use crate::cards;
use crate::hook::{check, hooks};
use crate::limits;
use crate::memory::physical::{self, Handle, Origin};
use crate::memory::{Charge, whole_blocks};

/// `CUmemAllocationProp`, as far as it is read; what follows is passed on as it is.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CUmemAllocationProp {
    kind: Unsigned,
    handle_types: Unsigned,
    location_type: Unsigned,
    location_id: c_int,
    rest: [u64; 2],
}

/// `CU_MEM_LOCATION_TYPE_DEVICE`
const ON_DEVICE: Unsigned = 1;
/// `CU_MEM_LOCATION_TYPE_HOST_NUMA`
const ON_HOST_NUMA: Unsigned = 3;
/// `CU_MEM_LOCATION_TYPE_HOST`, `…_HOST_NUMA` and `…_HOST_NUMA_CURRENT`
const ON_HOST: std::ops::RangeInclusive<Unsigned> = 2..=4;

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "charged in full" fn cuMemCreate(handle: *mut Handle, bytes: usize, properties: *const CUmemAllocationProp, flags: u64) -> CUresult |real| try {
        // SAFETY: null, or by cuda.h properties of the caller's.
        let wanted = unsafe { properties.as_ref() }.ok_or(CUDA_ERROR_INVALID_VALUE)?;
        let card = match wanted.location_type {
            ON_DEVICE => cards::for_device(wanted.location_id)?,
            // Not a card's memory.
            // SAFETY: the caller's own arguments.
            location if ON_HOST.contains(&location) => return check(unsafe { real(handle, bytes, properties, flags) }),
            // A kind of location that only newer drivers know: it cannot be attributed to a card's slice.
            _ => return Err(CUDA_ERROR_NOT_SUPPORTED),
        };
        let charge = Charge::new(card, whole_blocks(bytes as u64).ok_or(CUDA_ERROR_OUT_OF_MEMORY)?)?;
        let mut physical = physical::lock();
        // SAFETY: the caller's own arguments.
        let mut result = unsafe { real(handle, bytes, properties, flags) };
        let mut origin = Origin::Card;
        if result == CUDA_ERROR_OUT_OF_MEMORY && limits::get().is_some_and(|limits| limits.virtual_memory) {
            let elsewhere = CUmemAllocationProp { location_type: ON_HOST_NUMA, location_id: 0, ..*wanted };
            // SAFETY: the caller's own arguments, but for the location.
            result = unsafe { real(handle, bytes, &raw const elsewhere, flags) };
            origin = Origin::Spilled;
        }
        check(result)?;
        // SAFETY: the driver has succeeded, so it has written the handle there.
        physical.add(unsafe { handle.read() }, card, charge, origin);
        Ok(())
    }
    "given back when nothing maps it any more" fn cuMemRelease(handle: Handle) -> CUresult |real| try {
        let mut physical = physical::lock();
        // SAFETY: the caller's own arguments.
        check(unsafe { real(handle) })?;
        physical.released(handle);
        Ok(())
    }
    "remembered, so that released memory counts while it is mapped" fn cuMemMap(address: CUdeviceptr, bytes: usize, offset: usize, handle: Handle, flags: u64) -> CUresult |real| try {
        let mut physical = physical::lock();
        let uncharged = physical.uncharged(handle, bytes as u64);
        let charge = uncharged.map(|(card, bytes)| Charge::new(card, bytes)).transpose()?;
        // SAFETY: the caller's own arguments.
        check(unsafe { real(address, bytes, offset, handle, flags) })?;
        physical.mapped(handle, address, bytes as u64, charge);
        Ok(())
    }
    "given back when nothing holds it any more" fn cuMemUnmap(address: CUdeviceptr, bytes: usize) -> CUresult |real| try {
        let mut physical = physical::lock();
        // SAFETY: the caller's own arguments.
        check(unsafe { real(address, bytes) })?;
        physical.unmapped(address, bytes as u64);
        Ok(())
    }
    "another handle of the same memory" fn cuMemRetainAllocationHandle(handle: *mut Handle, address: *mut c_void) -> CUresult |real| try {
        let mut physical = physical::lock();
        // SAFETY: the caller's own arguments.
        check(unsafe { real(handle, address) })?;
        // SAFETY: the driver has succeeded, so it has written the handle there.
        physical.retained(unsafe { handle.read() }, address as u64);
        Ok(())
    }
    "charged to this process as well, when it is mapped: the lender may end first" fn cuMemImportFromShareableHandle(handle: *mut Handle, from: *mut c_void, kind: Unsigned) -> CUresult |real| try {
        let (_, card) = cards::current_context()?;
        let charge = Charge::new(card, 0)?;
        let mut physical = physical::lock();
        // SAFETY: the caller's own arguments.
        check(unsafe { real(handle, from, kind) })?;
        // SAFETY: the driver has succeeded, so it has written the handle there.
        physical.add(unsafe { handle.read() }, card, charge, Origin::Imported);
        Ok(())
    }
}
