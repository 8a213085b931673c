//! Functions by name and version.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use crate::cuda::abi::{CudaError, call, write_to};
use crate::cuda::exports::find;

#[unsafe(no_mangle)]
extern "C" fn cuGetProcAddress_v2(
    name: *const c_char,
    function: *mut *mut c_void,
    version: c_int,
    flags: u64,
    status: *mut c_uint,
) -> c_uint {
    call(|| {
        if name.is_null() {
            return Err(CudaError::INVALID_VALUE);
        }
        // SAFETY: not null, and by cuda.h a text that ends with NUL.
        let text = unsafe { CStr::from_ptr(name) }.to_str().map_err(|_| CudaError::INVALID_VALUE)?;
        let found = find(text, version, flags);
        write_to(function, found)?;
        if !status.is_null() {
            // CU_GET_PROC_ADDRESS_SUCCESS and …_SYMBOL_NOT_FOUND
            write_to(status, c_uint::from(found.is_null()))?;
        }
        if found.is_null() { Err(CudaError::NOT_FOUND) } else { Ok(()) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuGetProcAddress(
    name: *const c_char,
    function: *mut *mut c_void,
    version: c_int,
    flags: u64,
) -> c_uint {
    cuGetProcAddress_v2(name, function, version, flags, std::ptr::null_mut())
}

/// Undocumented tables of functions: none.
#[unsafe(no_mangle)]
extern "C" fn cuGetExportTable(_table: *mut *const c_void, _id: *const c_void) -> c_uint {
    CudaError::NOT_FOUND.0
}
