//! Addresses of this process: what the card's memory is simulated by.

use std::ffi::{c_int, c_void};

use super::abi::{BLOCK, CudaError};

unsafe extern "C" {
    fn mmap(
        at: *mut c_void,
        size: usize,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn munmap(at: *mut c_void, size: usize) -> c_int;
}

/// Addresses for so many bytes, aligned to blocks, with memory behind them as it is touched.
pub(crate) fn map(bytes: u64) -> Result<u64, CudaError> {
    /// `MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE` (asm-generic/mman.h)
    const FLAGS: c_int = 0x2 | 0x20 | 0x4000;
    let whole = bytes
        .checked_add(BLOCK)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or(CudaError::OUT_OF_MEMORY)?;
    // SAFETY: a new private mapping; nothing of ours lies there.
    let at = unsafe { mmap(std::ptr::null_mut(), whole, 3, FLAGS, -1, 0) } as u64;
    if at == u64::MAX {
        return Err(CudaError::OUT_OF_MEMORY);
    }
    let aligned = at.next_multiple_of(BLOCK);
    // What is before and behind goes back.
    unmap(at, aligned - at);
    unmap(aligned + bytes, at + whole as u64 - aligned - bytes);
    Ok(aligned)
}

/// Gives addresses back.
pub(crate) fn unmap(at: u64, bytes: u64) {
    if bytes > 0 {
        // SAFETY: a part of a mapping of `map`, which nobody uses any more; whole pages, since both ends are.
        unsafe { munmap(at as *mut c_void, bytes as usize) };
    }
}

/// Lays an open file over addresses of a mapping of [`map`].
pub(crate) fn map_file(file: c_int, at: u64, bytes: u64) -> Result<(), CudaError> {
    /// `MAP_SHARED | MAP_FIXED` (asm-generic/mman-common.h)
    const OVER: c_int = 0x1 | 0x10;
    // SAFETY: whole blocks of a mapping of `map`, which the file takes the place of.
    let laid = unsafe { mmap(at as *mut c_void, bytes as usize, 3, OVER, file, 0) };
    if laid as u64 == at { Ok(()) } else { Err(CudaError::OUT_OF_MEMORY) }
}
