//! Copies: device memory is memory of the process, so they are copies. What a stream still does was written when it was launched.

use std::ffi::{c_uint, c_void};

use crate::cuda::abi::{CudaResult, call};
use crate::cuda::process::process;
use crate::cuda::work::wait_all;

fn copy(to: u64, from: u64, bytes: usize) -> CudaResult {
    let process = process();
    process.current()?;
    // SAFETY: by cuda.h both are memory of so many bytes, of the device or of the host; they may overlap.
    unsafe { std::ptr::copy(from as *const u8, to as *mut u8, bytes) };
    Ok(())
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyHtoD_v2(to: u64, from: *const c_void, bytes: usize) -> c_uint {
    call(|| copy(to, from as u64, bytes))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoH_v2(to: *mut c_void, from: u64, bytes: usize) -> c_uint {
    call(|| {
        wait_all();
        copy(to as u64, from, bytes)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize) -> c_uint {
    call(|| copy(to, from, bytes))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, _stream: usize) -> c_uint {
    call(|| copy(to, from as u64, bytes))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, _stream: usize) -> c_uint {
    call(|| copy(to as u64, from, bytes))
}
