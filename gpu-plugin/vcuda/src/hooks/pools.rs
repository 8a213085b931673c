//! Stream-ordered memory: what a pool has charge of the card, used or not.

use crate::abi::{
    CUDA_ERROR_NOT_FOUND, CUDA_ERROR_NOT_SUPPORTED, CUDA_ERROR_OUT_OF_MEMORY, CUDA_SUCCESS, CUdeviceptr,
    CUresult, CUstream,
};
use crate::cards;
use crate::driver::{DriverFunction, Library};
use crate::hook::hooks;
use crate::hooks::graphs::captured;
use crate::hooks::memory::{free, spill};
use crate::memory::allocations::{self, Allocation, ChargeKind};
use crate::memory::pools::{self, Pool};
use crate::memory::{Charge, whole_blocks};

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "charged by what the device's pool reserves" fn cuMemAllocAsync(pointer: *mut CUdeviceptr, bytes: usize, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        allocate(pointer, bytes as u64, Stream(stream, false), pools::current_device_pool(), || unsafe { real(pointer, bytes, stream) })
    }
    "charged by what the device's pool reserves" fn cuMemAllocAsync_ptsz(pointer: *mut CUdeviceptr, bytes: usize, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        allocate(pointer, bytes as u64, Stream(stream, true), pools::current_device_pool(), || unsafe { real(pointer, bytes, stream) })
    }
    "charged by what the pool reserves" fn cuMemAllocFromPoolAsync(pointer: *mut CUdeviceptr, bytes: usize, pool: Pool, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        allocate(pointer, bytes as u64, Stream(stream, false), Some(pool), || unsafe { real(pointer, bytes, pool, stream) })
    }
    "charged by what the pool reserves" fn cuMemAllocFromPoolAsync_ptsz(pointer: *mut CUdeviceptr, bytes: usize, pool: Pool, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        allocate(pointer, bytes as u64, Stream(stream, true), Some(pool), || unsafe { real(pointer, bytes, pool, stream) })
    }
    "given back when its pool gives it back" fn cuMemFreeAsync(pointer: CUdeviceptr, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        free_async(pointer, stream, || unsafe { real(pointer, stream) })
    }
    "given back when its pool gives it back" fn cuMemFreeAsync_ptsz(pointer: CUdeviceptr, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        free_async(pointer, stream, || unsafe { real(pointer, stream) })
    }
    "given back" fn cuMemPoolTrimTo(pool: Pool, keep: usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(pool, keep) };
        pools::refresh(pool);
        result
    }
    "given back" fn cuMemPoolDestroy(pool: Pool) -> CUresult |real| {
        let taken = pools::remove(pool);
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(pool) };
        pools::finish_destroy(pool, taken, result == CUDA_SUCCESS);
        result
    }
    "refused: memory of another process's pool, whose size nobody tells" fn cuMemPoolImportFromShareableHandle(_pool: *mut Pool, _handle: *mut std::ffi::c_void, _kind: u32, _flags: u64) -> CUresult |_real| {
        CUDA_ERROR_NOT_SUPPORTED
    }
}

/// A stream, and whether the default one is the thread's own.
struct Stream(CUstream, bool);

/// What is not known to be free in the pool is charged before; what the pool has then charge is what counts.
fn allocate(
    pointer: *mut CUdeviceptr,
    bytes: u64,
    stream: Stream,
    pool: Option<Pool>,
    real: impl FnOnce() -> CUresult,
) -> CUresult {
    if captured(stream.0 as usize, stream.1, bytes) {
        return real();
    }
    let Some(cost) = whole_blocks(bytes) else { return CUDA_ERROR_OUT_OF_MEMORY };
    let (context, card) = match cards::current_context() {
        Ok(current) => current,
        Err(error) => return error,
    };
    let Some(pool) = pool else { return CUDA_ERROR_NOT_SUPPORTED };
    let mut known = pools::lock();
    let charge = Charge::new(card, cost).or_else(|_| {
        // What lies unused in the pool goes back to the card, and counts no more.
        known.trim(pool);
        Charge::new(card, cost)
    });
    let charge = match charge {
        Ok(charge) => charge,
        Err(error) => return error,
    };
    match real() {
        CUDA_SUCCESS => {
            known.settle(pool, card, charge);
            CUDA_SUCCESS
        }
        CUDA_ERROR_OUT_OF_MEMORY => {
            let spilled = spill(pointer, bytes);
            if spilled == CUDA_SUCCESS {
                let kind = ChargeKind::Spilled(cost);
                // SAFETY: the driver has succeeded, so it has written the address there.
                let address = unsafe { pointer.read() };
                allocations::record(
                    address,
                    Allocation { card, context: context as usize, bytes, kind },
                    charge,
                );
            }
            spilled
        }
        error => error,
    }
}

/// What was spilled is no pool's: it is freed once the stream has come so far.
fn free_async(pointer: CUdeviceptr, stream: CUstream, real: impl FnOnce() -> CUresult) -> CUresult {
    static WAIT: DriverFunction<unsafe extern "C" fn(CUstream) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuStreamSynchronize");
    static FREE: DriverFunction<unsafe extern "C" fn(CUdeviceptr) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuMemFree_v2");
    if !allocations::contains(pointer) {
        return real();
    }
    // SAFETY: the signatures are cuda.h's; the stream and the address are the caller's own.
    free(pointer, || unsafe {
        match (WAIT.get().map(|wait| wait(stream)), FREE.get()) {
            (Some(CUDA_SUCCESS), Some(free)) => free(pointer),
            (Some(error), Some(_)) => error,
            _ => CUDA_ERROR_NOT_SUPPORTED,
        }
    })
}
