//! Memory that has an address from the start: linear, pitched, managed, and what another process lends.

use std::ffi::c_char;

use crate::abi::{
    CUDA_ERROR_NOT_FOUND, CUDA_ERROR_OUT_OF_MEMORY, CUDA_SUCCESS, CUdeviceptr, CUresult, Unsigned,
};
use crate::cards::{self, Card};
use crate::driver::{DriverFunction, Library};
use crate::hook::hooks;
use crate::limits;
use crate::memory::allocations::{self, Allocation, ChargeKind};
use crate::memory::{Charge, whole_blocks};

/// `CUipcMemHandle`
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CUipcMemHandle {
    charge: [c_char; 64],
}

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "charged by the blocks of 2 MiB that it lies in" fn cuMemAlloc_v2(pointer: *mut CUdeviceptr, bytes: usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        allocate(pointer, bytes as u64, || unsafe { real(pointer, bytes) })
    }
    "charged by its pitch and height" fn cuMemAllocPitch_v2(pointer: *mut CUdeviceptr, pitch: *mut usize, width: usize, height: usize, element: Unsigned) -> CUresult |real| {
        // The pitch is known afterwards: it is at most this much over the width (texture pitch alignment, CUDA C Programming Guide).
        let row = (width as u64).checked_next_multiple_of(PITCH);
        let Some(bytes) = row.and_then(|row| row.checked_mul(height as u64)) else { return CUDA_ERROR_OUT_OF_MEMORY };
        // SAFETY: the caller's own arguments.
        allocate(pointer, bytes, || unsafe { real(pointer, pitch, width, height, element) })
    }
    "charged in full, wherever its pages are" fn cuMemAllocManaged(pointer: *mut CUdeviceptr, bytes: usize, flags: Unsigned) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        charged(pointer, bytes as u64, ChargeKind::Fixed, || unsafe { real(pointer, bytes, flags) })
    }
    "given back" fn cuMemFree_v2(pointer: CUdeviceptr) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        free(pointer, || unsafe { real(pointer) })
    }
    "charged to this process as well: the lender may end first" fn cuIpcOpenMemHandle_v2(pointer: *mut CUdeviceptr, handle: CUipcMemHandle, flags: Unsigned) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        borrow(pointer, || unsafe { real(pointer, handle, flags) })
    }
    "charged to this process as well: the lender may end first" fn cuIpcOpenMemHandle(pointer: *mut CUdeviceptr, handle: CUipcMemHandle, flags: Unsigned) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        borrow(pointer, || unsafe { real(pointer, handle, flags) })
    }
    "given back" fn cuIpcCloseMemHandle(pointer: CUdeviceptr) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        free(pointer, || unsafe { real(pointer) })
    }
}

/// The most that a pitch is rounded up to, in bytes.
const PITCH: u64 = 512;

/// Allocates what is charged by its blocks; where the card has no room and the slice may spill, in host memory.
fn allocate(pointer: *mut CUdeviceptr, bytes: u64, real: impl FnOnce() -> CUresult) -> CUresult {
    charged_or(pointer, bytes, |_| ChargeKind::Blocks, real, spill)
}

fn charged(
    pointer: *mut CUdeviceptr,
    bytes: u64,
    kind: fn(u64) -> ChargeKind,
    real: impl FnOnce() -> CUresult,
) -> CUresult {
    charged_or(pointer, bytes, kind, real, |_, _| CUDA_ERROR_OUT_OF_MEMORY)
}

/// Charges, asks the driver, and asks `instead` if the card is full.
fn charged_or(
    pointer: *mut CUdeviceptr,
    bytes: u64,
    kind: fn(u64) -> ChargeKind,
    real: impl FnOnce() -> CUresult,
    instead: impl FnOnce(*mut CUdeviceptr, u64) -> CUresult,
) -> CUresult {
    let (context, card) = match cards::current_context() {
        Ok(current) => current,
        Err(error) => return error,
    };
    let Some(cost) = whole_blocks(bytes) else { return CUDA_ERROR_OUT_OF_MEMORY };
    let charge = match Charge::new(card, cost) {
        Ok(charge) => charge,
        Err(error) => return error,
    };
    let mut allocation = Allocation { card, context: context as usize, bytes, kind: kind(cost) };
    let mut result = real();
    if result == CUDA_ERROR_OUT_OF_MEMORY {
        result = instead(pointer, bytes);
        allocation.kind = ChargeKind::Spilled(cost);
    }
    if result == CUDA_SUCCESS {
        written(pointer, allocation, charge);
    }
    result
}

fn written(pointer: *mut CUdeviceptr, allocation: Allocation, charge: Charge) {
    // SAFETY: the driver has succeeded, so it has written the address there.
    allocations::record(unsafe { pointer.read() }, allocation, charge);
}

/// Managed memory in place of device memory: the driver moves its pages to the card and back as they are used.
pub(super) fn spill(pointer: *mut CUdeviceptr, bytes: u64) -> CUresult {
    /// `CU_MEM_ATTACH_GLOBAL`: from any stream on any device, as device memory is.
    const ATTACH_GLOBAL: Unsigned = 1;
    static MANAGED: DriverFunction<unsafe extern "C" fn(*mut CUdeviceptr, usize, Unsigned) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuMemAllocManaged");
    if !limits::get().is_some_and(|limits| limits.virtual_memory) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    // SAFETY: the signature is cuda.h's.
    let Some(managed) = (unsafe { MANAGED.get() }) else { return CUDA_ERROR_OUT_OF_MEMORY };
    // SAFETY: the pointer is the caller's own.
    usize::try_from(bytes)
        .map_or(CUDA_ERROR_OUT_OF_MEMORY, |bytes| unsafe { managed(pointer, bytes, ATTACH_GLOBAL) })
}

/// Gives back what the driver frees.
pub(super) fn free(pointer: CUdeviceptr, real: impl FnOnce() -> CUresult) -> CUresult {
    let taken = allocations::remove(pointer);
    let result = real();
    match (taken, result) {
        (Some(allocation), CUDA_SUCCESS) => allocations::release(pointer, &allocation),
        (Some(allocation), _) => allocations::restore(pointer, allocation),
        (None, _) => {}
    }
    result
}

/// How much was lent is known only when it is mapped. Nothing new is taken from the card by that.
fn borrow(pointer: *mut CUdeviceptr, real: impl FnOnce() -> CUresult) -> CUresult {
    static RANGE: DriverFunction<
        unsafe extern "C" fn(*mut CUdeviceptr, *mut usize, CUdeviceptr) -> CUresult,
    > = DriverFunction::new(Library::Cuda, c"cuMemGetAddressRange_v2");
    static CLOSE: DriverFunction<unsafe extern "C" fn(CUdeviceptr) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuIpcCloseMemHandle");
    let (context, card) = match cards::current_context() {
        Ok(current) => current,
        Err(error) => return error,
    };
    let result = real();
    if result != CUDA_SUCCESS {
        return result;
    }
    // SAFETY: the driver has succeeded, so it has written the address there.
    let address = unsafe { pointer.read() };
    let (mut base, mut bytes) = (0, 0);
    // SAFETY: the signatures are cuda.h's, and what they write to is on this stack.
    let told = unsafe { RANGE.get().map(|range| range(&raw mut base, &raw mut bytes, address)) };
    match lent(card, told == Some(CUDA_SUCCESS), bytes as u64) {
        Ok((charge, cost)) => {
            let kind = ChargeKind::Fixed(cost);
            allocations::record(
                address,
                Allocation { card, context: context as usize, bytes: cost, kind },
                charge,
            );
            CUDA_SUCCESS
        }
        Err(error) => {
            // SAFETY: the signature is cuda.h's, and the address was opened just now.
            unsafe { CLOSE.get().map(|close| close(address)) };
            error
        }
    }
}

fn lent(card: &'static Card, known: bool, bytes: u64) -> Result<(Charge, u64), CUresult> {
    let cost = whole_blocks(bytes).filter(|_| known).ok_or(CUDA_ERROR_OUT_OF_MEMORY)?;
    Ok((Charge::new(card, cost)?, cost))
}
