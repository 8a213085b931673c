//! Capture: work that goes into a graph and not to the card.

use std::ffi::{c_uint, c_void};

use super::forms::both_forms;
use crate::cuda::abi::{CudaError, CudaResult, call, write_to};
use crate::cuda::process::process;
use crate::cuda::state::streams::StreamKey;

fn begin(stream: StreamKey) -> CudaResult {
    let mut process = process();
    let graph = process.new_handle();
    process.captures.begin(stream, graph)?;
    process.graphs.create(graph);
    Ok(())
}

fn end(stream: StreamKey, graph: *mut usize) -> CudaResult {
    let captured = process().captures.end(stream)?;
    write_to(graph, captured.unwrap_or(0))?;
    captured.map(drop).ok_or(CudaError::CAPTURE_INVALIDATED)
}

/// The nodes that the next one comes after are not told, nor what lies between them.
fn info(stream: StreamKey, status: *mut c_uint, graph: *mut usize) -> CudaResult {
    let process = process();
    write_to(status, process.captures.status(stream) as c_uint)?;
    match process.captures.graph_of(stream) {
        Some(handle) if !graph.is_null() => write_to(graph, handle),
        _ => Ok(()),
    }
}

both_forms! {
    fn cuStreamBeginCapture_v2 | cuStreamBeginCapture_v2_ptsz(stream: usize, _mode: c_uint) |key of stream| {
        call(|| begin(key))
    }

    fn cuStreamEndCapture | cuStreamEndCapture_ptsz(stream: usize, graph: *mut usize) |key of stream| {
        call(|| end(key, graph))
    }

    fn cuStreamIsCapturing | cuStreamIsCapturing_ptsz(stream: usize, status: *mut c_uint) |key of stream| {
        call(|| write_to(status, process().captures.status(key) as c_uint))
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamGetCaptureInfo_v2(
    stream: usize,
    status: *mut c_uint,
    _id: *mut u64,
    graph: *mut usize,
    _after: *mut *const usize,
    _count: *mut usize,
) -> c_uint {
    call(|| info(StreamKey::legacy(stream), status, graph))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamGetCaptureInfo_v3(
    stream: usize,
    status: *mut c_uint,
    _id: *mut u64,
    graph: *mut usize,
    _after: *mut *const usize,
    _edges: *mut *const c_void,
    _count: *mut usize,
) -> c_uint {
    call(|| info(StreamKey::legacy(stream), status, graph))
}

/// One mode is as good as another: what breaks a capture here breaks it in each.
#[unsafe(no_mangle)]
extern "C" fn cuThreadExchangeStreamCaptureMode(_mode: *mut c_uint) -> c_uint {
    0
}
