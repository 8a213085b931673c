//! The accounting file, mapped: numbers that all processes of the container share.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicU32, AtomicU64};

use ideal_gpu::accounting::layout::FILE_BYTES;

/// Offset of the futex lock's word.
const LOCK_AT: usize = 8;

/// The mapping. It is never unmapped.
pub(crate) struct Mapping(*const u8);

// SAFETY: what is behind the pointer is only ever used as atomic numbers.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps a file of [`FILE_BYTES`].
    pub(super) fn new(file: &File) -> std::io::Result<Self> {
        // SAFETY: a new shared mapping of an open file; nothing of ours lies there.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                FILE_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Self(base.cast::<u8>()))
    }

    /// The number at an offset.
    pub(super) fn number(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at + 8 <= FILE_BYTES && at.is_multiple_of(8));
        // SAFETY: inside the mapping, which lives as long as the process, and aligned: every offset of the layout is a multiple
        // of 8. Other processes change it as an atomic too.
        unsafe { &*self.0.add(at).cast::<AtomicU64>() }
    }

    pub(super) fn lock_word(&self) -> &AtomicU32 {
        // SAFETY: as in `number`; the lock uses the first half of its eight bytes.
        unsafe { &*self.0.add(LOCK_AT).cast::<AtomicU32>() }
    }
}
