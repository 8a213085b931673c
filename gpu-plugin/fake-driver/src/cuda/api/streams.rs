//! Streams.

use std::ffi::{c_int, c_uint};

use super::forms::both_forms;
use crate::cuda::abi::{CudaError, CudaResult, call, write_to};
use crate::cuda::clock::now;
use crate::cuda::moment::Moment;
use crate::cuda::process::{Process, process};
use crate::cuda::state::streams::StreamKey;
use crate::cuda::work::wait_for;

/// Waits for a moment that the process knows, and lets pools give back what they need not keep.
pub(super) fn synchronize(end: impl FnOnce(&Process) -> Result<Moment, CudaError>) -> CudaResult {
    let mut locked = process();
    locked.current()?;
    locked.captures.refuse_wait()?;
    let end = end(&locked)?;
    // Other threads call meanwhile.
    drop(locked);
    wait_for(end);
    let mut locked = process();
    locked.current()?;
    locked.synchronized();
    Ok(())
}

fn query(stream: StreamKey) -> CudaResult {
    let mut process = process();
    process.current()?;
    process.streams.check(stream)?;
    if process.captures.graph_of(stream).is_some() {
        return Err(CudaError::CAPTURE_UNSUPPORTED);
    }
    let after = process.streams.after(stream);
    if process.is_reached(after, now()) { Ok(()) } else { Err(CudaError::NOT_READY) }
}

both_forms! {
    fn cuStreamSynchronize | cuStreamSynchronize_ptsz(stream: usize) |key of stream| {
        call(|| synchronize(|process| {
            process.streams.check(key)?;
            Ok(process.streams.after(key))
        }))
    }

    fn cuStreamQuery | cuStreamQuery_ptsz(stream: usize) |key of stream| {
        call(|| query(key))
    }

    fn cuStreamWaitEvent | cuStreamWaitEvent_ptsz(stream: usize, event: usize, _flags: c_uint) |key of stream| {
        call(|| process().wait_event(key, event))
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSynchronize() -> c_uint {
    call(|| synchronize(|process| Ok(process.streams.last_end())))
}

/// What a context has in flight is not told apart from what the process has.
#[unsafe(no_mangle)]
extern "C" fn cuCtxSynchronize_v2(_context: usize) -> c_uint {
    cuCtxSynchronize()
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamCreate(stream: *mut usize, flags: c_uint) -> c_uint {
    /// `CU_STREAM_NON_BLOCKING`
    const NON_BLOCKING: c_uint = 1;
    call(|| {
        let mut process = process();
        process.current()?;
        let handle = process.new_handle();
        process.streams.create(handle, flags & NON_BLOCKING == 0);
        write_to(stream, handle)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamCreateWithPriority(stream: *mut usize, flags: c_uint, _priority: c_int) -> c_uint {
    cuStreamCreate(stream, flags)
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamDestroy_v2(stream: usize) -> c_uint {
    call(|| process().streams.destroy(stream))
}
