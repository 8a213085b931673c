//! Virtual memory management: physical memory and addresses apart.

use std::ffi::{c_int, c_void};

use crate::abi::{
    CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_FOUND, CUDA_ERROR_NOT_SUPPORTED, CUDA_ERROR_OUT_OF_MEMORY,
    CUDA_SUCCESS, CUdeviceptr, CUresult, Unsigned,
};
use crate::cards;
use crate::hook::hooks;
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
    "charged in full" fn cuMemCreate(handle: *mut Handle, bytes: usize, properties: *const CUmemAllocationProp, flags: u64) -> CUresult |real| {
        // SAFETY: null, or by cuda.h properties of the caller's.
        let card = match unsafe { properties.as_ref() } {
            Some(it) if it.location_type == ON_DEVICE => cards::for_device(it.location_id),
            // Not a card's memory, or nothing at all: the driver answers.
            // SAFETY: the caller's own arguments.
            Some(it) if ON_HOST.contains(&it.location_type) => return unsafe { real(handle, bytes, properties, flags) },
            // A part of a card that only newer drivers know: whose slice it is cannot be told.
            Some(_) => Err(CUDA_ERROR_NOT_SUPPORTED),
            None => Err(CUDA_ERROR_INVALID_VALUE),
        };
        let card = match card {
            Ok(card) => card,
            Err(error) => return error,
        };
        let Some(cost) = whole_blocks(bytes as u64) else { return CUDA_ERROR_OUT_OF_MEMORY };
        let charge = match Charge::new(card, cost) {
            Ok(charge) => charge,
            Err(error) => return error,
        };
        let mut store = physical::lock();
        // SAFETY: the caller's own arguments.
        let mut result = unsafe { real(handle, bytes, properties, flags) };
        let mut origin = Origin::Card;
        if result == CUDA_ERROR_OUT_OF_MEMORY && limits::get().is_some_and(|limits| limits.virtual_memory) {
            // SAFETY: not null, since it was read above.
            let elsewhere = CUmemAllocationProp { location_type: ON_HOST_NUMA, location_id: 0, ..unsafe { properties.read() } };
            // SAFETY: the caller's own arguments, but for the location.
            result = unsafe { real(handle, bytes, &raw const elsewhere, flags) };
            origin = Origin::Spilled;
        }
        if result == CUDA_SUCCESS {
            // SAFETY: the driver has succeeded, so it has written the handle there.
            store.add(unsafe { handle.read() }, card, charge, origin);
        }
        result
    }
    "given back when nothing maps it any more" fn cuMemRelease(handle: Handle) -> CUresult |real| {
        let mut store = physical::lock();
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(handle) };
        if result == CUDA_SUCCESS {
            store.released(handle);
        }
        result
    }
    "remembered, so that released memory counts while it is mapped" fn cuMemMap(address: CUdeviceptr, bytes: usize, offset: usize, handle: Handle, flags: u64) -> CUresult |real| {
        let mut store = physical::lock();
        let owed = match store.uncharged(handle, bytes as u64) {
            Some((card, bytes)) => match Charge::new(card, bytes) {
                Ok(charge) => Some(charge),
                Err(error) => return error,
            },
            None => None,
        };
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(address, bytes, offset, handle, flags) };
        if result == CUDA_SUCCESS {
            store.mapped(handle, address, bytes as u64, owed);
        }
        result
    }
    "given back when nothing holds it any more" fn cuMemUnmap(address: CUdeviceptr, bytes: usize) -> CUresult |real| {
        let mut store = physical::lock();
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(address, bytes) };
        if result == CUDA_SUCCESS {
            store.unmapped(address, bytes as u64);
        }
        result
    }
    "another handle of the same memory" fn cuMemRetainAllocationHandle(handle: *mut Handle, address: *mut c_void) -> CUresult |real| {
        let mut store = physical::lock();
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(handle, address) };
        if result == CUDA_SUCCESS {
            // SAFETY: the driver has succeeded, so it has written the handle there.
            store.retained(unsafe { handle.read() }, address as u64);
        }
        result
    }
    "charged to this process as well, when it is mapped: the lender may end first" fn cuMemImportFromShareableHandle(handle: *mut Handle, from: *mut c_void, kind: Unsigned) -> CUresult |real| {
        let card = match cards::current_context() {
            Ok((_, card)) => card,
            Err(error) => return error,
        };
        let charge = match Charge::new(card, 0) {
            Ok(charge) => charge,
            Err(error) => return error,
        };
        let mut store = physical::lock();
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(handle, from, kind) };
        if result == CUDA_SUCCESS {
            // SAFETY: the driver has succeeded, so it has written the handle there.
            store.add(unsafe { handle.read() }, card, charge, Origin::Imported);
        }
        result
    }
}
