//! Physical memory and addresses apart.

use std::ffi::{c_int, c_uint, c_void};

use crate::cuda::abi::{BLOCK, CudaError, call, read_from, write_to};
use crate::cuda::mapping::{map, unmap};
use crate::cuda::process::process;

/// `CUmemAllocationProp`, as far as it is read: kind, handle types, kind of location, its number.
type Properties = [c_int; 4];

#[unsafe(no_mangle)]
extern "C" fn cuMemCreate(
    handle: *mut u64,
    bytes: usize,
    properties: *const Properties,
    _flags: u64,
) -> c_uint {
    call(|| {
        let [_, _, location, number] = read_from(properties)?;
        let mut process = process();
        // CU_MEM_LOCATION_TYPE_DEVICE, and the three that begin with …_HOST.
        let card = match location {
            1 => Some(&process.device(number)?.1.card),
            2..=4 => None,
            _ => return Err(CudaError::INVALID_VALUE),
        };
        let new = process.new_handle() as u64;
        process.physical.create(new, card, bytes as u64)?;
        write_to(handle, new)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemRelease(handle: u64) -> c_uint {
    call(|| process().physical.release(handle))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAddressReserve(
    address: *mut u64,
    bytes: usize,
    _alignment: usize,
    _wish: u64,
    _flags: u64,
) -> c_uint {
    call(|| write_to(address, map((bytes as u64).next_multiple_of(BLOCK))?))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAddressFree(at: u64, bytes: usize) -> c_uint {
    unmap(at, (bytes as u64).next_multiple_of(BLOCK));
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuMemMap(at: u64, bytes: usize, offset: usize, handle: u64, _flags: u64) -> c_uint {
    call(|| process().physical.map(at, bytes as u64, offset as u64, handle))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemUnmap(at: u64, bytes: usize) -> c_uint {
    call(|| process().physical.unmap(at, bytes as u64))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemSetAccess(_at: u64, _bytes: usize, _access: *const c_void, _count: usize) -> c_uint {
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuMemRetainAllocationHandle(handle: *mut u64, address: u64) -> c_uint {
    call(|| write_to(handle, process().physical.retain(address)?))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemGetAllocationGranularity(
    bytes: *mut usize,
    _properties: *const Properties,
    _option: c_uint,
) -> c_uint {
    call(|| write_to(bytes, BLOCK as usize))
}
