//! Numbers of cuda.h (CUDA 13.5), and how results and pointers pass between C and Rust.

use std::ffi::c_uint;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes of a block: the driver takes memory of a card in blocks of 2 MiB.
pub(crate) const BLOCK: u64 = 2 << 20;

/// `CUresult` but for success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CudaError(pub(crate) c_uint);

impl CudaError {
    pub(crate) const INVALID_VALUE: Self = Self(1);
    pub(crate) const OUT_OF_MEMORY: Self = Self(2);
    pub(crate) const NOT_INITIALIZED: Self = Self(3);
    pub(crate) const NO_DEVICE: Self = Self(100);
    pub(crate) const INVALID_DEVICE: Self = Self(101);
    pub(crate) const INVALID_CONTEXT: Self = Self(201);
    pub(crate) const INVALID_HANDLE: Self = Self(400);
    pub(crate) const NOT_FOUND: Self = Self(500);
    pub(crate) const NOT_READY: Self = Self(600);
    pub(crate) const ILLEGAL_ADDRESS: Self = Self(700);
    pub(crate) const NOT_SUPPORTED: Self = Self(801);
    pub(crate) const CAPTURE_UNSUPPORTED: Self = Self(900);
    pub(crate) const CAPTURE_INVALIDATED: Self = Self(901);
    pub(crate) const CAPTURE_MERGE: Self = Self(902);
    pub(crate) const CAPTURE_UNMATCHED: Self = Self(903);
    pub(crate) const CAPTURED_EVENT: Self = Self(907);
    pub(crate) const UNKNOWN: Self = Self(999);
}

/// What a call's work gives.
pub(crate) type CudaResult = Result<(), CudaError>;

/// Runs a call's work. Nothing unwinds into C.
pub(crate) fn call(work: impl FnOnce() -> CudaResult) -> c_uint {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => error.0,
        Err(_) => CudaError::UNKNOWN.0,
    }
}

/// Writes through a pointer of the caller's.
pub(crate) fn write_to<T>(pointer: *mut T, value: T) -> CudaResult {
    if pointer.is_null() {
        return Err(CudaError::INVALID_VALUE);
    }
    // SAFETY: not null, and by cuda.h the caller's pointer is aligned and valid for a write of one T during the call.
    unsafe { pointer.write(value) };
    Ok(())
}

/// Reads through a pointer of the caller's.
pub(crate) fn read_from<T: Copy>(pointer: *const T) -> Result<T, CudaError> {
    // SAFETY: null is refused, and by cuda.h the caller has put a T there.
    unsafe { pointer.as_ref() }.copied().ok_or(CudaError::INVALID_VALUE)
}
