//! Calls after which a card is known to be idle, so that it is charged to the moment.

use std::ffi::c_void;

use crate::abi::{CUDA_ERROR_NOT_FOUND, CUcontext, CUresult, CUstream};
use crate::compute::{self, Stream};
use crate::hook::hooks;
use crate::memory::pools;

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "takes notice of an idle card" fn cuStreamSynchronize(stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::observe_stream(Stream::legacy(stream), || settled(unsafe { real(stream) }))
    }
    "takes notice of an idle card" fn cuStreamQuery(stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::observe_stream(Stream::legacy(stream), || unsafe { real(stream) })
    }
    "takes notice of an idle card" fn cuStreamSynchronize_ptsz(stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::observe_stream(Stream::per_thread(stream), || settled(unsafe { real(stream) }))
    }
    "takes notice of an idle card" fn cuStreamQuery_ptsz(stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::observe_stream(Stream::per_thread(stream), || unsafe { real(stream) })
    }
    "takes notice of an idle card" fn cuCtxSynchronize() -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::observe_context(std::ptr::null_mut(), || settled(unsafe { real() }))
    }
    "takes notice of an idle card" fn cuCtxSynchronize_v2(context: CUcontext) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::observe_context(context, || settled(unsafe { real(context) }))
    }
    "takes notice of an idle card" fn cuEventSynchronize(event: *mut c_void) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::observe_event(|| settled(unsafe { real(event) }))
    }
    "takes notice of an idle card" fn cuEventQuery(event: *mut c_void) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::observe_event(|| unsafe { real(event) })
    }
    "what it has still to do stays known" fn cuStreamDestroy_v2(stream: CUstream) -> CUresult |real| {
        compute::stream_destroyed(stream);
        // SAFETY: the caller's own arguments.
        unsafe { real(stream) }
    }
    "what it has still to do stays known" fn cuStreamDestroy(stream: CUstream) -> CUresult |real| {
        compute::stream_destroyed(stream);
        // SAFETY: the caller's own arguments.
        unsafe { real(stream) }
    }
}

/// After a synchronisation a pool may have given memory back to the card.
fn settled(result: CUresult) -> CUresult {
    pools::refresh_all();
    result
}
