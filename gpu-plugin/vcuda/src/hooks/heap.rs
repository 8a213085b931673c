//! Memory that kernels themselves take: how much a context keeps for them is set by its limits.

use std::ffi::c_int;

use crate::abi::{
    CUDA_ERROR_NOT_FOUND, CUDA_ERROR_OUT_OF_MEMORY, CUDA_SUCCESS, CUdevice, CUresult, Unsigned,
};
use crate::cards;
use crate::driver::{DriverFunction, Library};
use crate::hook::hooks;
use crate::memory::allocations::{self, Allocation, ChargeKind};
use crate::memory::{Charge, whole_blocks};

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
    "what a context keeps for its kernels is charged" fn cuCtxSetLimit(limit: Unsigned, value: usize) -> CUresult |real| {
        let Some(usual) = from_the_start(limit) else {
            // SAFETY: the caller's own arguments.
            return unsafe { real(limit, value) };
        };
        // SAFETY: the caller's own arguments.
        set(limit, (value as u64).saturating_sub(usual), || unsafe { real(limit, value) })
    }
}

/// Charges what a limit takes beyond what it took from the start, before the driver sets it; then what it took before is given
/// back.
fn set(limit: Unsigned, beyond: u64, real: impl FnOnce() -> CUresult) -> CUresult {
    let (context, card) = match cards::current_context() {
        Ok(current) => current,
        Err(error) => return error,
    };
    let each = if limit == STACK_SIZE { threads() } else { Some(1) };
    let Some(bytes) = each.and_then(|each| beyond.checked_mul(each)).and_then(whole_blocks) else {
        return CUDA_ERROR_OUT_OF_MEMORY;
    };
    let charge = match Charge::new(card, bytes) {
        Ok(charge) => charge,
        Err(error) => return error,
    };
    let result = real();
    if result == CUDA_SUCCESS {
        // A context's handle is an address: nothing else is so close behind it.
        let key = context as u64 + 1 + u64::from(limit);
        let before = allocations::remove(key);
        allocations::record(
            key,
            Allocation { card, context: context as usize, bytes, kind: ChargeKind::Fixed(bytes) },
            charge,
        );
        if let Some(before) = before {
            allocations::release(key, &before);
        }
    }
    result
}

/// Threads that a card runs at one time: each has a stack.
fn threads() -> Option<u64> {
    static ATTRIBUTE: DriverFunction<unsafe extern "C" fn(*mut c_int, c_int, CUdevice) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuDeviceGetAttribute");
    let device = cards::current_device().ok()?;
    let ask = |attribute| {
        let mut value: c_int = 0;
        // SAFETY: the signature is cuda.h's, and what it writes to is on this stack.
        let told = unsafe { ATTRIBUTE.get()?(&raw mut value, attribute, device) };
        u64::try_from(value).ok().filter(|_| told == CUDA_SUCCESS)
    };
    ask(MULTIPROCESSOR_COUNT)?.checked_mul(ask(MAX_THREADS_PER_MULTIPROCESSOR)?)
}
