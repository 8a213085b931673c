//! Capturing what is launched into a graph.

use std::ffi::c_void;

use crate::abi::{CUDA_ERROR_NOT_FOUND, CUresult, CUstream, Unsigned};
use crate::compute::{Stream, capture};
use crate::hook::hooks;

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "what is launched on the stream is not done now" fn cuStreamBeginCapture(stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        capture::begin(Stream::legacy(stream), || unsafe { real(stream) })
    }
    "what is launched on the stream is not done now" fn cuStreamBeginCapture_v2(stream: CUstream, mode: Unsigned) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        capture::begin(Stream::legacy(stream), || unsafe { real(stream, mode) })
    }
    "what is launched on the stream is not done now" fn cuStreamBeginCaptureToGraph(stream: CUstream, graph: *mut c_void, dependencies: *const c_void, edges: *const c_void, count: usize, mode: Unsigned) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        capture::begin(Stream::legacy(stream), || unsafe { real(stream, graph, dependencies, edges, count, mode) })
    }
    "what is launched on the stream is not done now" fn cuStreamBeginRecaptureToGraph(stream: CUstream, mode: Unsigned, graph: *mut c_void, callback: *mut c_void, data: *mut c_void) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        capture::begin(Stream::legacy(stream), || unsafe { real(stream, mode, graph, callback, data) })
    }
    "what is launched on the stream is done again" fn cuStreamEndCapture(stream: CUstream, graph: *mut *mut c_void) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        capture::end(Stream::legacy(stream), || unsafe { real(stream, graph) })
    }
    "what is launched on the stream is not done now" fn cuStreamBeginCapture_ptsz(stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        capture::begin(Stream::per_thread(stream), || unsafe { real(stream) })
    }
    "what is launched on the stream is not done now" fn cuStreamBeginCapture_v2_ptsz(stream: CUstream, mode: Unsigned) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        capture::begin(Stream::per_thread(stream), || unsafe { real(stream, mode) })
    }
    "what is launched on the stream is not done now" fn cuStreamBeginCaptureToGraph_ptsz(stream: CUstream, graph: *mut c_void, dependencies: *const c_void, edges: *const c_void, count: usize, mode: Unsigned) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        capture::begin(Stream::per_thread(stream), || unsafe { real(stream, graph, dependencies, edges, count, mode) })
    }
    "what is launched on the stream is not done now" fn cuStreamBeginRecaptureToGraph_ptsz(stream: CUstream, mode: Unsigned, graph: *mut c_void, callback: *mut c_void, data: *mut c_void) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        capture::begin(Stream::per_thread(stream), || unsafe { real(stream, mode, graph, callback, data) })
    }
    "what is launched on the stream is done again" fn cuStreamEndCapture_ptsz(stream: CUstream, graph: *mut *mut c_void) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        capture::end(Stream::per_thread(stream), || unsafe { real(stream, graph) })
    }
}
