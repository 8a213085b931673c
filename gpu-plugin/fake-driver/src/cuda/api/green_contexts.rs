//! Green contexts: a part of a card's multiprocessors. Here each is the whole primary context, whose memory it shares.

use std::ffi::{c_int, c_uint, c_void};

use super::context::{cuDevicePrimaryCtxRelease_v2, cuDevicePrimaryCtxRetain};
use crate::cuda::abi::{call, write_to};
use crate::cuda::process::process;

/// A resource is opaque to programs: nothing is written into it.
#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetDevResource(number: c_int, _resource: *mut c_void, _kind: c_uint) -> c_uint {
    call(|| process().device(number).map(drop))
}

#[unsafe(no_mangle)]
extern "C" fn cuDevResourceGenerateDesc(
    description: *mut usize,
    _resources: *mut c_void,
    _count: c_uint,
) -> c_uint {
    call(|| write_to(description, process().new_handle()))
}

/// Its handle is its device's number plus one.
#[unsafe(no_mangle)]
extern "C" fn cuGreenCtxCreate(
    green: *mut usize,
    _description: usize,
    number: c_int,
    _flags: c_uint,
) -> c_uint {
    let mut primary = 0;
    match cuDevicePrimaryCtxRetain(&raw mut primary, number) {
        0 => call(|| write_to(green, number as usize + 1)),
        error => error,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxFromGreenCtx(context: *mut usize, green: usize) -> c_uint {
    let number = green.wrapping_sub(1) as c_int;
    match cuDevicePrimaryCtxRetain(context, number) {
        0 => cuDevicePrimaryCtxRelease_v2(number),
        error => error,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuGreenCtxDestroy(green: usize) -> c_uint {
    cuDevicePrimaryCtxRelease_v2(green.wrapping_sub(1) as c_int)
}
