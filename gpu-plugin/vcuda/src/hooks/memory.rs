//! Memory that has an address from the start: linear, pitched, managed, and what another process lends.

use std::ffi::c_char;

use crate::abi::{
    CUDA_ERROR_NOT_FOUND, CUDA_ERROR_OUT_OF_MEMORY, CUcontext, CUdeviceptr, CUresult, Unsigned,
};
use crate::cards::{self, Card};
use crate::driver::{DriverFunction, Library};
use crate::hook::{check, hooks};
use crate::limits;
use crate::memory::allocations::{AllocationCharge, PendingFree, Placement};

/// `CUipcMemHandle`
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CUipcMemHandle {
    charge: [c_char; 64],
}

/// The most that a pitch is rounded up to, in bytes: the texture pitch alignment, CUDA C Programming Guide.
const PITCH: u64 = 512;

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "charged by the blocks of 2 MiB that it lies in" fn cuMemAlloc_v2(pointer: *mut CUdeviceptr, bytes: usize) -> CUresult |real| try {
        let charge = AllocationCharge::new(bytes as u64)?;
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(pointer, bytes) };
        settle_or_spill(charge, result, pointer)
    }
    "charged by its pitch and height" fn cuMemAllocPitch_v2(pointer: *mut CUdeviceptr, pitch: *mut usize, width: usize, height: usize, element: Unsigned) -> CUresult |real| try {
        // The pitch is known afterwards only.
        let row = (width as u64).checked_next_multiple_of(PITCH);
        let bytes = row.and_then(|row| row.checked_mul(height as u64)).ok_or(CUDA_ERROR_OUT_OF_MEMORY)?;
        let charge = AllocationCharge::new(bytes)?;
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(pointer, pitch, width, height, element) };
        settle_or_spill(charge, result, pointer)
    }
    "charged in full, wherever its pages are" fn cuMemAllocManaged(pointer: *mut CUdeviceptr, bytes: usize, flags: Unsigned) -> CUresult |real| try {
        let charge = AllocationCharge::new(bytes as u64)?;
        // SAFETY: the caller's own arguments.
        check(unsafe { real(pointer, bytes, flags) })?;
        // SAFETY: the driver has succeeded, so it has written the address there.
        charge.settle(unsafe { pointer.read() }, Placement::Whole);
        Ok(())
    }
    "given back" fn cuMemFree_v2(pointer: CUdeviceptr) -> CUresult |real| try {
        let free = PendingFree::new(pointer);
        // SAFETY: the caller's own arguments.
        check(unsafe { real(pointer) })?;
        free.settle();
        Ok(())
    }
    "charged to this process as well: the lender may end first" fn cuIpcOpenMemHandle_v2(pointer: *mut CUdeviceptr, handle: CUipcMemHandle, flags: Unsigned) -> CUresult |real| try {
        let current = cards::current_context()?;
        // SAFETY: the caller's own arguments.
        check(unsafe { real(pointer, handle, flags) })?;
        // SAFETY: the driver has succeeded, so it has written the address there.
        charge_borrowed(current, unsafe { pointer.read() })
    }
    "charged to this process as well: the lender may end first" fn cuIpcOpenMemHandle(pointer: *mut CUdeviceptr, handle: CUipcMemHandle, flags: Unsigned) -> CUresult |real| try {
        let current = cards::current_context()?;
        // SAFETY: the caller's own arguments.
        check(unsafe { real(pointer, handle, flags) })?;
        // SAFETY: the driver has succeeded, so it has written the address there.
        charge_borrowed(current, unsafe { pointer.read() })
    }
    "given back" fn cuIpcCloseMemHandle(pointer: CUdeviceptr) -> CUresult |real| try {
        let free = PendingFree::new(pointer);
        // SAFETY: the caller's own arguments.
        check(unsafe { real(pointer) })?;
        free.settle();
        Ok(())
    }
}

/// Settles the charge by what the driver has answered. Where the card is full and the slice may spill, the allocation is made in host
/// memory.
fn settle_or_spill(
    charge: AllocationCharge,
    result: CUresult,
    pointer: *mut CUdeviceptr,
) -> Result<(), CUresult> {
    let placement = if result == CUDA_ERROR_OUT_OF_MEMORY {
        spill(pointer, charge.bytes())?;
        Placement::Spilled
    } else {
        check(result)?;
        Placement::Blocks
    };
    // SAFETY: the driver has succeeded, so it has written the address there.
    charge.settle(unsafe { pointer.read() }, placement);
    Ok(())
}

/// Allocates managed memory in place of device memory: the driver moves its pages to the card and back as they are used.
pub(super) fn spill(pointer: *mut CUdeviceptr, bytes: u64) -> Result<(), CUresult> {
    /// `CU_MEM_ATTACH_GLOBAL`: from any stream on any device, as device memory is.
    const ATTACH_GLOBAL: Unsigned = 1;
    static MANAGED: DriverFunction<unsafe extern "C" fn(*mut CUdeviceptr, usize, Unsigned) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuMemAllocManaged");
    if !limits::get().is_some_and(|limits| limits.virtual_memory) {
        return Err(CUDA_ERROR_OUT_OF_MEMORY);
    }
    let bytes = usize::try_from(bytes).map_err(|_| CUDA_ERROR_OUT_OF_MEMORY)?;
    // SAFETY: the signature is cuda.h's.
    let managed = unsafe { MANAGED.get() }.ok_or(CUDA_ERROR_OUT_OF_MEMORY)?;
    // SAFETY: the pointer is the caller's own.
    check(unsafe { managed(pointer, bytes, ATTACH_GLOBAL) })
}

/// Charges memory that another process lends, once it is mapped: only then it is known how much it is, and nothing new is taken from
/// the card by that. What cannot be charged is closed.
fn charge_borrowed(current: (CUcontext, &'static Card), address: CUdeviceptr) -> Result<(), CUresult> {
    static CLOSE: DriverFunction<unsafe extern "C" fn(CUdeviceptr) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuIpcCloseMemHandle");
    match allocated_bytes(address).and_then(|bytes| AllocationCharge::in_context(current, bytes)) {
        Ok(charge) => {
            charge.settle(address, Placement::Whole);
            Ok(())
        }
        Err(error) => {
            // SAFETY: the signature is cuda.h's, and the address was opened just now.
            unsafe { CLOSE.get().map(|close| close(address)) };
            Err(error)
        }
    }
}

/// The bytes of the allocation that an address lies in.
fn allocated_bytes(address: CUdeviceptr) -> Result<u64, CUresult> {
    static RANGE: DriverFunction<
        unsafe extern "C" fn(*mut CUdeviceptr, *mut usize, CUdeviceptr) -> CUresult,
    > = DriverFunction::new(Library::Cuda, c"cuMemGetAddressRange_v2");
    let (mut base, mut bytes) = (0, 0);
    // SAFETY: the signature is cuda.h's.
    let range = unsafe { RANGE.get() }.ok_or(CUDA_ERROR_OUT_OF_MEMORY)?;
    // SAFETY: what it writes to is on this stack.
    check(unsafe { range(&raw mut base, &raw mut bytes, address) }).map_err(|_| CUDA_ERROR_OUT_OF_MEMORY)?;
    Ok(bytes as u64)
}
