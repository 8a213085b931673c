//! Memory of the device that is set to a value: a kernel of the driver's own.

use std::ffi::c_uint;

use crate::cuda::abi::{CudaError, CudaResult, call};
use crate::cuda::state::streams::StreamKey;
use crate::cuda::work::{run, wait_all};

/// Writes at once, as kernels do, and takes the time of 1 TiB/s, less than an H100's memory has.
fn set<T: Copy>(to: u64, value: T, count: usize, stream: StreamKey) -> CudaResult {
    run(|process, now| {
        process.current()?;
        let bytes = count.checked_mul(size_of::<T>()).ok_or(CudaError::INVALID_VALUE)?;
        if process.captures.graph_of(stream).is_none() {
            // SAFETY: by cuda.h memory of the device for so many values, aligned for them.
            unsafe { std::slice::from_raw_parts_mut(to as *mut T, count) }.fill(value);
        }
        process.submit(stream, bytes as u64 / 1024, now)
    })
}

/// The same, and waits.
fn set_and_wait<T: Copy>(to: u64, value: T, count: usize, stream: StreamKey) -> CudaResult {
    set(to, value, count, stream)?;
    wait_all();
    Ok(())
}

/// For each type of the elements the function that waits and the one of a stream, each in the form whose null stream is the legacy
/// one and in the form whose null stream is the thread's own.
macro_rules! memsets {
    ($($type:ty: $waits:ident | $waits_per_thread:ident, $of_stream:ident | $of_stream_per_thread:ident;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $waits(to: u64, value: $type, count: usize) -> c_uint {
            call(|| set_and_wait(to, value, count, StreamKey::legacy(0)))
        }

        #[unsafe(no_mangle)]
        extern "C" fn $waits_per_thread(to: u64, value: $type, count: usize) -> c_uint {
            call(|| set_and_wait(to, value, count, StreamKey::per_thread(0)))
        }

        #[unsafe(no_mangle)]
        extern "C" fn $of_stream(to: u64, value: $type, count: usize, stream: usize) -> c_uint {
            call(|| set(to, value, count, StreamKey::legacy(stream)))
        }

        #[unsafe(no_mangle)]
        extern "C" fn $of_stream_per_thread(to: u64, value: $type, count: usize, stream: usize) -> c_uint {
            call(|| set(to, value, count, StreamKey::per_thread(stream)))
        }
    )*};
}

memsets! {
    u8: cuMemsetD8_v2 | cuMemsetD8_v2_ptds, cuMemsetD8Async | cuMemsetD8Async_ptsz;
    u16: cuMemsetD16_v2 | cuMemsetD16_v2_ptds, cuMemsetD16Async | cuMemsetD16Async_ptsz;
    u32: cuMemsetD32_v2 | cuMemsetD32_v2_ptds, cuMemsetD32Async | cuMemsetD32Async_ptsz;
}
