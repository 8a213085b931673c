//! Types and numbers of cuda.h (CUDA 13.5), as far as they are used here.

use std::ffi::{c_int, c_uint, c_void};

/// `CUresult`: an enumeration in C.
pub(crate) type CUresult = c_uint;
/// `CUdevice`: the number of a device in this process.
pub(crate) type CUdevice = c_int;
/// `CUdeviceptr_v2`
pub(crate) type CUdeviceptr = u64;
/// `CUcontext`, opaque.
pub(crate) type CUcontext = *mut c_void;
/// `CUstream`, opaque.
pub(crate) type CUstream = *mut c_void;

pub(crate) const CUDA_SUCCESS: CUresult = 0;
pub(crate) const CUDA_ERROR_INVALID_VALUE: CUresult = 1;
pub(crate) const CUDA_ERROR_OUT_OF_MEMORY: CUresult = 2;
/// Asked of a driver that does not have the function.
pub(crate) const CUDA_ERROR_NOT_FOUND: CUresult = 500;
/// What every call gets whose limit is not known.
pub(crate) const CUDA_ERROR_NOT_PERMITTED: CUresult = 800;
pub(crate) const CUDA_ERROR_NOT_SUPPORTED: CUresult = 801;

/// `CUuuid`
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CUuuid {
    pub(crate) bytes: [u8; 16],
}

/// An unsigned `int` of C.
pub(crate) type Unsigned = c_uint;
