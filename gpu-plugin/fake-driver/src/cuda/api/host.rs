//! Memory of the host that the card can reach: nothing of the card's.

use std::ffi::{c_uint, c_void};

use crate::cuda::abi::{CudaError, call, write_to};
use crate::cuda::mapping::{map, unmap};
use crate::cuda::process::process;

#[unsafe(no_mangle)]
extern "C" fn cuMemHostAlloc(pointer: *mut u64, bytes: usize, _flags: c_uint) -> c_uint {
    call(|| {
        let mut process = process();
        process.current()?;
        let bytes = bytes as u64;
        if bytes == 0 {
            return Err(CudaError::INVALID_VALUE);
        }
        let at = map(bytes)?;
        process.host.insert(at, bytes);
        write_to(pointer, at)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAllocHost_v2(pointer: *mut u64, bytes: usize) -> c_uint {
    cuMemHostAlloc(pointer, bytes, 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeHost(at: u64) -> c_uint {
    call(|| {
        let bytes = process().host.remove(&at).ok_or(CudaError::INVALID_VALUE)?;
        unmap(at, bytes);
        Ok(())
    })
}

/// All memory of the host can be reached.
#[unsafe(no_mangle)]
extern "C" fn cuMemHostRegister_v2(_at: *mut c_void, _bytes: usize, _flags: c_uint) -> c_uint {
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuMemHostUnregister(_at: *mut c_void) -> c_uint {
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuMemHostGetDevicePointer_v2(pointer: *mut u64, at: u64, _flags: c_uint) -> c_uint {
    call(|| write_to(pointer, at))
}
