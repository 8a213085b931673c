//! Modules, libraries and the functions in them: any image has all kernels.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use crate::cuda::abi::{CudaError, call, write_to};
use crate::cuda::process::process;
use crate::cuda::work::function_of;

#[unsafe(no_mangle)]
extern "C" fn cuModuleLoadData(module: *mut usize, _image: *const c_void) -> c_uint {
    call(|| {
        let mut process = process();
        process.current()?;
        write_to(module, process.new_handle())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleLoadDataEx(
    module: *mut usize,
    image: *const c_void,
    _count: c_uint,
    _options: *const c_uint,
    _values: *const *const c_void,
) -> c_uint {
    cuModuleLoadData(module, image)
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleUnload(_module: usize) -> c_uint {
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleGetFunction(function: *mut usize, _module: usize, name: *const c_char) -> c_uint {
    call(|| {
        if name.is_null() {
            return Err(CudaError::INVALID_VALUE);
        }
        // SAFETY: not null, and by cuda.h a text that ends with NUL.
        write_to(function, function_of(unsafe { CStr::from_ptr(name) })?)
    })
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "cuda.h")]
extern "C" fn cuLibraryLoadData(
    library: *mut usize,
    _code: *const c_void,
    _options: *const c_uint,
    _values: *const *const c_void,
    _count: c_uint,
    _library_options: *const c_uint,
    _library_values: *const *const c_void,
    _library_count: c_uint,
) -> c_uint {
    call(|| write_to(library, process().new_handle()))
}

#[unsafe(no_mangle)]
extern "C" fn cuLibraryUnload(_library: usize) -> c_uint {
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuLibraryGetKernel(kernel: *mut usize, library: usize, name: *const c_char) -> c_uint {
    cuModuleGetFunction(kernel, library, name)
}

/// A kernel and its function have the same handle.
#[unsafe(no_mangle)]
extern "C" fn cuKernelGetFunction(function: *mut usize, kernel: usize) -> c_uint {
    call(|| write_to(function, kernel))
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncGetAttribute(value: *mut c_int, attribute: c_uint, _function: usize) -> c_uint {
    // MAX_THREADS_PER_BLOCK; the kernels need no memory of their own.
    call(|| write_to(value, if attribute == 0 { 1024 } else { 0 }))
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncSetAttribute(_function: usize, _attribute: c_uint, _value: c_int) -> c_uint {
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    count: *mut c_int,
    _function: usize,
    _block: c_int,
    _shared: usize,
) -> c_uint {
    call(|| write_to(count, 1))
}
