//! Contexts: where a program that may not use CUDA is turned away, and where a context's own memory is charged.

use std::ffi::{c_int, c_void};

use crate::abi::{CUDA_ERROR_NOT_FOUND, CUDA_SUCCESS, CUcontext, CUdevice, CUresult, Unsigned};
use crate::cards;
use crate::compute;
use crate::driver::{DriverFunction, Library};
use crate::hook::{check, hooks};
use crate::memory::{Charge, allocations};

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "refused where the limits cannot be held" fn cuInit(flags: Unsigned) -> CUresult |real| try {
        cards::accounting()?;
        // SAFETY: the caller's own arguments.
        check(unsafe { real(flags) })
    }
    "its memory is charged" fn cuCtxCreate_v2(context: *mut CUcontext, flags: Unsigned, device: CUdevice) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        create(context, device, || unsafe { real(context, flags, device) })
    }
    "its memory is charged" fn cuCtxCreate_v3(context: *mut CUcontext, affinity: *mut c_void, count: c_int, flags: Unsigned, device: CUdevice) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        create(context, device, || unsafe { real(context, affinity, count, flags, device) })
    }
    "its memory is charged" fn cuCtxCreate_v4(context: *mut CUcontext, parameters: *mut c_void, flags: Unsigned, device: CUdevice) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        create(context, device, || unsafe { real(context, parameters, flags, device) })
    }
    "its memory is charged" fn cuCtxCreate(context: *mut CUcontext, flags: Unsigned, device: CUdevice) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        create(context, device, || unsafe { real(context, flags, device) })
    }
    "its memory is charged, at the first" fn cuDevicePrimaryCtxRetain(context: *mut CUcontext, device: CUdevice) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        create(context, device, || unsafe { real(context, device) })
    }
    "what died with it is given back" fn cuCtxDestroy_v2(context: CUcontext) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        destroy(context, || unsafe { real(context) })
    }
    "what died with it is given back" fn cuCtxDestroy(context: CUcontext) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        destroy(context, || unsafe { real(context) })
    }
    "what died with it is given back, at the last" fn cuDevicePrimaryCtxRelease_v2(device: CUdevice) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        release_primary(device, || unsafe { real(device) })
    }
    "what died with it is given back, at the last" fn cuDevicePrimaryCtxRelease(device: CUdevice) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        release_primary(device, || unsafe { real(device) })
    }
    "what died with it is given back" fn cuDevicePrimaryCtxReset_v2(device: CUdevice) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        release_primary(device, || unsafe { real(device) })
    }
    "what died with it is given back" fn cuDevicePrimaryCtxReset(device: CUdevice) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        release_primary(device, || unsafe { real(device) })
    }
}

/// Charges a context before the driver makes it. A primary one that was there already is charged once.
fn create(made: *mut CUcontext, device: CUdevice, real: impl FnOnce() -> CUresult) -> Result<(), CUresult> {
    let card = cards::for_device(device)?;
    let again = primary(device).is_some_and(|context| allocations::contains(context as u64));
    let charge = Charge::new(card, if again { 0 } else { card.context_bytes })?;
    check(real())?;
    // SAFETY: the driver has succeeded, so it has written the context there.
    let context = unsafe { made.read() };
    if !allocations::contains(context as u64) {
        allocations::record_context(context as usize, card, charge);
    }
    Ok(())
}

fn destroy(context: CUcontext, real: impl FnOnce() -> CUresult) -> CUresult {
    compute::context_destroyed(context);
    let result = real();
    if result == CUDA_SUCCESS {
        allocations::release_context(context as usize);
    }
    result
}

fn release_primary(device: CUdevice, real: impl FnOnce() -> CUresult) -> CUresult {
    let context = primary(device);
    let result = real();
    if let (CUDA_SUCCESS, Some(context)) = (result, context)
        && primary(device).is_none()
    {
        allocations::release_context(context as usize);
        compute::context_destroyed(context);
    }
    result
}

/// The primary context of a device, while it is there. Asking retains it, so it is asked only where it is active.
fn primary(device: CUdevice) -> Option<CUcontext> {
    static STATE: DriverFunction<unsafe extern "C" fn(CUdevice, *mut Unsigned, *mut c_int) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuDevicePrimaryCtxGetState");
    static RETAIN: DriverFunction<unsafe extern "C" fn(*mut CUcontext, CUdevice) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuDevicePrimaryCtxRetain");
    static RELEASE: DriverFunction<unsafe extern "C" fn(CUdevice) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuDevicePrimaryCtxRelease_v2");
    let (mut flags, mut active, mut context) = (0, 0, std::ptr::null_mut());
    // SAFETY: the signatures are cuda.h's, and what they write to is on this stack. What is retained is released at once.
    unsafe {
        let result = STATE.get()?(device, &raw mut flags, &raw mut active);
        if result != CUDA_SUCCESS || active == 0 || RETAIN.get()?(&raw mut context, device) != CUDA_SUCCESS {
            return None;
        }
        RELEASE.get()?(device);
    }
    Some(context)
}
