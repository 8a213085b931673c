//! Events.

use std::ffi::c_uint;

use super::forms::both_forms;
use super::streams::synchronize;
use crate::cuda::abi::{CudaError, call, write_to};
use crate::cuda::clock::now;
use crate::cuda::process::process;

#[unsafe(no_mangle)]
extern "C" fn cuEventCreate(event: *mut usize, _flags: c_uint) -> c_uint {
    call(|| {
        let mut process = process();
        let handle = process.new_handle();
        process.streams.create_event(handle);
        write_to(event, handle)
    })
}

both_forms! {
    fn cuEventRecord | cuEventRecord_ptsz(event: usize, stream: usize) |key of stream| {
        call(|| process().record_event(event, key, now()))
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuEventQuery(event: usize) -> c_uint {
    call(|| if process().has_happened(event, now())? { Ok(()) } else { Err(CudaError::NOT_READY) })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventSynchronize(event: usize) -> c_uint {
    call(|| synchronize(|process| process.event_moment(event)))
}

#[unsafe(no_mangle)]
extern "C" fn cuEventElapsedTime_v2(milliseconds: *mut f32, from: usize, to: usize) -> c_uint {
    cuEventElapsedTime(milliseconds, from, to)
}

#[unsafe(no_mangle)]
extern "C" fn cuEventElapsedTime(milliseconds: *mut f32, from: usize, to: usize) -> c_uint {
    call(|| {
        let (mut process, now) = (process(), now());
        let (from, to) = (process.event_time(from, now)?, process.event_time(to, now)?);
        write_to(milliseconds, (to as f64 - from as f64) as f32 / 1e6)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventDestroy_v2(event: usize) -> c_uint {
    call(|| {
        let mut process = process();
        process.captures.forget_event(event);
        process.streams.destroy_event(event)
    })
}
