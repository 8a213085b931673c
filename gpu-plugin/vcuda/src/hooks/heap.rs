//! Memory that kernels themselves take: how much a context keeps for them is set by its limits.

use std::ffi::c_int;

use crate::abi::{CUDA_ERROR_NOT_FOUND, CUDA_ERROR_OUT_OF_MEMORY, CUdevice, CUresult, Unsigned};
use crate::cards;
use crate::driver::{DriverFunction, Library};
use crate::hook::{check, hooks};
use crate::memory::allocations::{AllocationCharge, PendingFree, Placement};

/// `CUlimit`, those that take memory of the card: the stack of each thread, what `printf` writes into, and the heap of `malloc`.
const STACK_SIZE: Unsigned = 0;
const PRINTF_FIFO_SIZE: Unsigned = 1;
const MALLOC_HEAP_SIZE: Unsigned = 2;
/// `CUdevice_attribute`
const MULTIPROCESSOR_COUNT: c_int = 16;
const MAX_THREADS_PER_MULTIPROCESSOR: c_int = 39;

/// What a limit is from the start, which is part of what a context is charged with (`cudaDeviceSetLimit`, and the CUDA C
/// Programming Guide on `printf` and on `malloc` in kernels).
fn from_the_start(limit: Unsigned) -> Option<u64> {
    match limit {
        STACK_SIZE => Some(1 << 10),
        PRINTF_FIFO_SIZE => Some(1 << 20),
        MALLOC_HEAP_SIZE => Some(8 << 20),
        _ => None,
    }
}

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "what a context keeps for its kernels is charged" fn cuCtxSetLimit(limit: Unsigned, value: usize) -> CUresult |real| try {
        let Some(usual) = from_the_start(limit) else {
            // SAFETY: the caller's own arguments.
            return check(unsafe { real(limit, value) });
        };
        let current = cards::current_context()?;
        // What it takes beyond what it took from the start is charged before the driver sets it; then what it took before is given
        // back.
        let charge = AllocationCharge::in_context(current, beyond(limit, (value as u64).saturating_sub(usual))?)?;
        // SAFETY: the caller's own arguments.
        check(unsafe { real(limit, value) })?;
        // A context's handle is an address: nothing else is so close behind it.
        let key = current.0 as u64 + 1 + u64::from(limit);
        let before = PendingFree::new(key);
        charge.settle(key, Placement::Whole);
        before.settle();
        Ok(())
    }
}

/// Bytes that a limit takes which is higher than usual by so many.
fn beyond(limit: Unsigned, bytes: u64) -> Result<u64, CUresult> {
    let times = if limit == STACK_SIZE { threads() } else { Some(1) };
    times.and_then(|times| bytes.checked_mul(times)).ok_or(CUDA_ERROR_OUT_OF_MEMORY)
}

/// Threads that a card runs at one time: each has a stack.
fn threads() -> Option<u64> {
    static ATTRIBUTE: DriverFunction<unsafe extern "C" fn(*mut c_int, c_int, CUdevice) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuDeviceGetAttribute");
    let device = cards::current_device().ok()?;
    let ask = |attribute| {
        let mut value: c_int = 0;
        // SAFETY: the signature is cuda.h's, and what it writes to is on this stack.
        check(unsafe { ATTRIBUTE.get()?(&raw mut value, attribute, device) }).ok()?;
        u64::try_from(value).ok()
    };
    ask(MULTIPROCESSOR_COUNT)?.checked_mul(ask(MAX_THREADS_PER_MULTIPROCESSOR)?)
}
