//! Where a launch goes.

use crate::abi::{CUDA_SUCCESS, CUresult, CUstream, Unsigned};
use crate::driver::{DriverFunction, Library};

/// `CU_STREAM_LEGACY` and `CU_STREAM_PER_THREAD`, handles that stand for a default stream.
pub(super) const LEGACY: usize = 1;
const PER_THREAD: usize = 2;

/// Which stream a handle means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// The default stream of a context.
    Legacy,
    /// The default stream of the calling thread in its context.
    PerThread,
    /// One that the program made.
    Made(CUstream),
}

impl Stream {
    /// In a function whose null stream is the legacy one.
    #[inline]
    pub(crate) fn legacy(handle: CUstream) -> Self {
        match handle as usize {
            0 | LEGACY => Self::Legacy,
            PER_THREAD => Self::PerThread,
            _ => Self::Made(handle),
        }
    }

    /// In a function whose null stream is the thread's: those that end with `_ptsz` and `_ptds`.
    #[inline]
    pub(crate) fn per_thread(handle: CUstream) -> Self {
        if handle.is_null() { Self::PerThread } else { Self::legacy(handle) }
    }

    /// As a handle that means the same in every function.
    pub(super) fn handle(self) -> CUstream {
        match self {
            Self::Legacy => std::ptr::without_provenance_mut(LEGACY),
            Self::PerThread => std::ptr::without_provenance_mut(PER_THREAD),
            Self::Made(handle) => handle,
        }
    }

    /// Whether launches on it go into a graph. Asking does no harm to a capture, `cuStreamIsCapturing` in the driver's
    /// documentation; an error means that the legacy stream may not be used now, as the launch will answer itself.
    pub(super) fn is_captured(self) -> bool {
        static CAPTURING: DriverFunction<unsafe extern "C" fn(CUstream, *mut Unsigned) -> CUresult> =
            DriverFunction::new(Library::Cuda, c"cuStreamIsCapturing");
        let mut status = 0;
        // SAFETY: the signature is cuda.h's, and the status is on this stack.
        let result = unsafe { CAPTURING.get().map(|capturing| capturing(self.handle(), &raw mut status)) };
        result != Some(CUDA_SUCCESS) || status != 0
    }
}
