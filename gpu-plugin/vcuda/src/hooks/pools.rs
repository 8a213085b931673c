//! Stream-ordered memory: what a pool has reserved of the card, used or not.

use crate::abi::{
    CUDA_ERROR_NOT_FOUND, CUDA_ERROR_NOT_SUPPORTED, CUDA_ERROR_OUT_OF_MEMORY, CUDA_SUCCESS, CUdeviceptr,
    CUresult, CUstream,
};
use crate::cards;
use crate::driver::{DriverFunction, Library};
use crate::hook::{check, hooks};
use crate::hooks::graphs::captured;
use crate::hooks::memory::spill;
use crate::memory::allocations::{self, AllocationCharge, PendingFree, Placement};
use crate::memory::pools::{self, Pool};

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "charged by what the device's pool reserves" fn cuMemAllocAsync(pointer: *mut CUdeviceptr, bytes: usize, stream: CUstream) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        allocate(pointer, bytes as u64, Stream(stream, false), pools::current_device_pool(), || unsafe { real(pointer, bytes, stream) })
    }
    "charged by what the device's pool reserves" fn cuMemAllocAsync_ptsz(pointer: *mut CUdeviceptr, bytes: usize, stream: CUstream) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        allocate(pointer, bytes as u64, Stream(stream, true), pools::current_device_pool(), || unsafe { real(pointer, bytes, stream) })
    }
    "charged by what the pool reserves" fn cuMemAllocFromPoolAsync(pointer: *mut CUdeviceptr, bytes: usize, pool: Pool, stream: CUstream) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        allocate(pointer, bytes as u64, Stream(stream, false), Some(pool), || unsafe { real(pointer, bytes, pool, stream) })
    }
    "charged by what the pool reserves" fn cuMemAllocFromPoolAsync_ptsz(pointer: *mut CUdeviceptr, bytes: usize, pool: Pool, stream: CUstream) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        allocate(pointer, bytes as u64, Stream(stream, true), Some(pool), || unsafe { real(pointer, bytes, pool, stream) })
    }
    "given back when its pool gives it back" fn cuMemFreeAsync(pointer: CUdeviceptr, stream: CUstream) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        free_async(pointer, stream, || unsafe { real(pointer, stream) })
    }
    "given back when its pool gives it back" fn cuMemFreeAsync_ptsz(pointer: CUdeviceptr, stream: CUstream) -> CUresult |real| try {
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
        let removed = pools::remove(pool);
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(pool) };
        pools::finish_destroy(pool, removed, result == CUDA_SUCCESS);
        result
    }
    "refused: memory of another process's pool, whose size nobody tells" fn cuMemPoolImportFromShareableHandle(_pool: *mut Pool, _handle: *mut std::ffi::c_void, _kind: u32, _flags: u64) -> CUresult |_real| {
        CUDA_ERROR_NOT_SUPPORTED
    }
}

/// A stream, and whether the default one is the thread's own.
struct Stream(CUstream, bool);

/// What is not known to be free in the pool is charged before; what the pool has then reserved is what counts.
fn allocate(
    pointer: *mut CUdeviceptr,
    bytes: u64,
    stream: Stream,
    pool: Option<Pool>,
    real: impl FnOnce() -> CUresult,
) -> Result<(), CUresult> {
    if captured(stream.0 as usize, stream.1, bytes) {
        return check(real());
    }
    let current = cards::current_context()?;
    let pool = pool.ok_or(CUDA_ERROR_NOT_SUPPORTED)?;
    let mut pools = pools::lock();
    let charge = AllocationCharge::in_context(current, bytes).or_else(|_| {
        // What lies unused in the pool goes back to the card, and counts no more.
        pools.trim(pool);
        AllocationCharge::in_context(current, bytes)
    })?;
    match real() {
        CUDA_SUCCESS => pools.settle(pool, current.1, charge.into_charge()),
        CUDA_ERROR_OUT_OF_MEMORY => {
            spill(pointer, bytes)?;
            // SAFETY: the driver has succeeded, so it has written the address there.
            charge.settle(unsafe { pointer.read() }, Placement::Spilled);
        }
        error => return Err(error),
    }
    Ok(())
}

/// What was spilled is no pool's: it is freed once the stream has come so far.
fn free_async(
    pointer: CUdeviceptr,
    stream: CUstream,
    real: impl FnOnce() -> CUresult,
) -> Result<(), CUresult> {
    static WAIT: DriverFunction<unsafe extern "C" fn(CUstream) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuStreamSynchronize");
    static FREE: DriverFunction<unsafe extern "C" fn(CUdeviceptr) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuMemFree_v2");
    if !allocations::contains(pointer) {
        return check(real());
    }
    let free = PendingFree::new(pointer);
    // SAFETY: the signatures are cuda.h's.
    let (wait, real_free) = unsafe { (WAIT.get(), FREE.get()) };
    let (wait, real_free) = wait.zip(real_free).ok_or(CUDA_ERROR_NOT_SUPPORTED)?;
    // SAFETY: the stream is the caller's own.
    check(unsafe { wait(stream) })?;
    // SAFETY: the address is the caller's own.
    check(unsafe { real_free(pointer) })?;
    free.settle();
    Ok(())
}
