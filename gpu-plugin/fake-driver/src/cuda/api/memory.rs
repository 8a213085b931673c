//! Linear memory.

use std::ffi::c_uint;

use crate::cuda::abi::{CudaError, call, write_to};
use crate::cuda::current::current_handle;
use crate::cuda::process::process;
use crate::cuda::work::wait_all;

/// Rows of pitched memory are multiples of this, in bytes.
const PITCH: usize = 512;

#[unsafe(no_mangle)]
pub(super) extern "C" fn cuMemAlloc_v2(pointer: *mut u64, bytes: usize) -> c_uint {
    call(|| {
        let mut process = process();
        let (at, device) = process.current()?;
        let address = process.arena(at).allocate(&device.card, current_handle(), bytes as u64)?;
        write_to(pointer, address)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAllocPitch_v2(
    pointer: *mut u64,
    pitch: *mut usize,
    width: usize,
    height: usize,
    _element: c_uint,
) -> c_uint {
    let row = width.next_multiple_of(PITCH);
    match row.checked_mul(height) {
        Some(bytes) => match cuMemAlloc_v2(pointer, bytes) {
            0 => call(|| write_to(pitch, row)),
            error => error,
        },
        None => CudaError::OUT_OF_MEMORY.0,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAllocManaged(pointer: *mut u64, bytes: usize, _flags: c_uint) -> c_uint {
    call(|| {
        let mut process = process();
        let (at, device) = process.current()?;
        let address = process.arena(at).allocate_managed(&device.card, current_handle(), bytes as u64)?;
        write_to(pointer, address)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn cuMemFree_v2(at: u64) -> c_uint {
    call(|| {
        process().current()?;
        wait_all();
        let mut process = process();
        if process.free_of_pool(at)? { Ok(()) } else { process.free(at) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> c_uint {
    call(|| {
        let (_, device) = process().current()?;
        write_to(free, device.card.capacity().saturating_sub(device.card.used()) as usize)?;
        write_to(total, device.card.capacity() as usize)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemGetAddressRange_v2(base: *mut u64, bytes: *mut usize, at: u64) -> c_uint {
    call(|| {
        let process = process();
        let (start, length) =
            process.arenas.values().find_map(|arena| arena.range(at)).ok_or(CudaError::NOT_FOUND)?;
        if !base.is_null() {
            write_to(base, start)?;
        }
        if bytes.is_null() { Ok(()) } else { write_to(bytes, length as usize) }
    })
}
