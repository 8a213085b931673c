//! Stream-ordered memory.

use std::ffi::{c_int, c_uint, c_void};

use super::forms::both_forms;
use crate::cuda::abi::{BLOCK, CudaError, CudaResult, call, read_from, write_to};
use crate::cuda::process::{Process, process};
use crate::cuda::state::streams::StreamKey;

fn default_pool(process: &mut Process, device: usize) -> usize {
    process.pools.default_of(device).unwrap_or_else(|| {
        let handle = process.new_handle();
        process.pools.add(handle, device, true);
        handle
    })
}

fn allocate(pointer: *mut u64, bytes: usize, pool: Option<usize>, stream: StreamKey) -> CudaResult {
    let mut process = process();
    let (device, _) = process.current()?;
    if let Some(graph) = process.captures.graph_of(stream) {
        process.graphs.add_allocation(graph, bytes as u64)?;
        return write_to(pointer, BLOCK);
    }
    let handle = pool.unwrap_or_else(|| default_pool(&mut process, device));
    let devices = process.devices()?;
    let pool = process.pools.get(handle)?;
    let address = pool.allocate(&devices[pool.device].card, bytes as u64)?;
    write_to(pointer, address)
}

fn free(at: u64) -> CudaResult {
    let mut process = process();
    process.current()?;
    if process.free_of_pool(at)? { Ok(()) } else { process.free(at) }
}

both_forms! {
    fn cuMemAllocAsync | cuMemAllocAsync_ptsz(pointer: *mut u64, bytes: usize, stream: usize) |key of stream| {
        call(|| allocate(pointer, bytes, None, key))
    }

    fn cuMemAllocFromPoolAsync | cuMemAllocFromPoolAsync_ptsz(pointer: *mut u64, bytes: usize, pool: usize, stream: usize) |key of stream| {
        call(|| allocate(pointer, bytes, Some(pool), key))
    }

    fn cuMemFreeAsync | cuMemFreeAsync_ptsz(at: u64, stream: usize) |_key of stream| {
        call(|| free(at))
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetMemPool(pool: *mut usize, number: c_int) -> c_uint {
    call(|| {
        let mut process = process();
        let (device, _) = process.device(number)?;
        write_to(pool, default_pool(&mut process, device))
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetDefaultMemPool(pool: *mut usize, number: c_int) -> c_uint {
    cuDeviceGetMemPool(pool, number)
}

/// `CUmemPoolProps`, as far as it is read: its location's number is its fourth.
#[unsafe(no_mangle)]
extern "C" fn cuMemPoolCreate(pool: *mut usize, properties: *const [c_int; 4]) -> c_uint {
    call(|| {
        let mut process = process();
        let (device, _) = process.device(read_from(properties)?[3])?;
        let handle = process.new_handle();
        process.pools.add(handle, device, false);
        write_to(pool, handle)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolDestroy(handle: usize) -> c_uint {
    call(|| {
        let mut process = process();
        process.current()?;
        let devices = process.devices()?;
        let pool = process.pools.get(handle)?;
        if pool.default {
            return Err(CudaError::INVALID_VALUE);
        }
        pool.destroy(&devices[pool.device].card);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolTrimTo(handle: usize, keep: usize) -> c_uint {
    call(|| {
        let mut process = process();
        let devices = process.devices()?;
        let pool = process.pools.get(handle)?;
        pool.trim(&devices[pool.device].card, keep as u64);
        Ok(())
    })
}

/// `CU_MEMPOOL_ATTR_RELEASE_THRESHOLD`, `…_RESERVED_MEM_CURRENT` and `…_USED_MEM_CURRENT`
const THRESHOLD: c_uint = 4;
const RESERVED: c_uint = 5;
const USED: c_uint = 7;

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolGetAttribute(handle: usize, attribute: c_uint, value: *mut c_void) -> c_uint {
    call(|| {
        let mut process = process();
        let pool = process.pools.get(handle)?;
        let bytes = match attribute {
            THRESHOLD => pool.threshold,
            RESERVED => pool.reserved(),
            USED => pool.used(),
            _ => return Err(CudaError::INVALID_VALUE),
        };
        write_to(value.cast::<u64>(), bytes)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolSetAttribute(handle: usize, attribute: c_uint, value: *mut c_void) -> c_uint {
    call(|| {
        let mut process = process();
        let pool = process.pools.get(handle)?;
        match attribute {
            THRESHOLD => pool.threshold = read_from(value.cast::<u64>())?,
            _ => return Err(CudaError::INVALID_VALUE),
        }
        Ok(())
    })
}
