//! Capture: work that goes into a graph and not to the card.

use std::ffi::{c_uint, c_void};

use super::abi::{Fault, call, put};
use super::process::process;
use super::stream::{Capture, Key};

fn begin(stream: Key) -> c_uint {
    call(|| {
        let mut process = process();
        if matches!(stream, Key::Legacy(_)) || process.captured(stream).is_some() {
            return Err(Fault::CAPTURE_UNSUPPORTED);
        }
        let graph = process.handle();
        process.graphs.insert(graph, (0, 0));
        process.captures.push(Capture { stream, graph, first: true, broken: false });
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamBeginCapture_v2(stream: usize, _mode: c_uint) -> c_uint {
    begin(Key::legacy(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamBeginCapture_v2_ptsz(stream: usize, _mode: c_uint) -> c_uint {
    begin(Key::per_thread(stream))
}

fn end(stream: Key, graph: *mut usize) -> c_uint {
    call(|| {
        let mut process = process();
        let at = process
            .captures
            .iter()
            .position(|capture| capture.stream == stream)
            .ok_or(Fault::INVALID_VALUE)?;
        if !process.captures[at].first {
            return Err(Fault::CAPTURE_UNMATCHED);
        }
        let capture = process.captures.remove(at);
        process.captures.retain(|other| other.graph != capture.graph);
        process.streams.captured.retain(|_, graph| *graph != capture.graph);
        put(graph, if capture.broken { 0 } else { capture.graph })?;
        if capture.broken { Err(Fault::CAPTURE_INVALIDATED) } else { Ok(()) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamEndCapture(stream: usize, graph: *mut usize) -> c_uint {
    end(Key::legacy(stream), graph)
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamEndCapture_ptsz(stream: usize, graph: *mut usize) -> c_uint {
    end(Key::per_thread(stream), graph)
}

/// `CUstreamCaptureStatus`: 0 none, 1 active, 2 invalidated.
fn status_of(stream: Key) -> c_uint {
    let process = process();
    let capture = process.captures.iter().find(|capture| capture.stream == stream);
    capture.map_or(0, |capture| if capture.broken { 2 } else { 1 })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamIsCapturing(stream: usize, status: *mut c_uint) -> c_uint {
    call(|| put(status, status_of(Key::legacy(stream))))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamIsCapturing_ptsz(stream: usize, status: *mut c_uint) -> c_uint {
    call(|| put(status, status_of(Key::per_thread(stream))))
}

fn info(stream: Key, status: *mut c_uint, graph: *mut usize) -> c_uint {
    call(|| {
        put(status, status_of(stream))?;
        let captured = process().captured(stream);
        match captured {
            Some(handle) if !graph.is_null() => put(graph, handle),
            _ => Ok(()),
        }
    })
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
    info(Key::legacy(stream), status, graph)
}

/// The nodes that the next one comes after are not told, nor what lies between them.
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
    info(Key::legacy(stream), status, graph)
}

/// One mode is as good as another: what breaks a capture here breaks it in each.
#[unsafe(no_mangle)]
extern "C" fn cuThreadExchangeStreamCaptureMode(_mode: *mut c_uint) -> c_uint {
    0
}
