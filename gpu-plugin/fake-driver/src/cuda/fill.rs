//! Memory of the device that is set to a value: a kernel of the driver's own.

use std::ffi::c_uint;

use super::abi::{Fault, call};
use super::launch::run;
use super::process::{current, process};
use super::stream::{Key, wait_all};

/// Writes at once, as kernels do, and takes the time of 1 TiB/s, less than an H100's memory has.
fn set<T: Copy>(to: u64, value: T, count: usize, stream: Key) -> c_uint {
    call(|| {
        let process = process();
        current(&process)?;
        let bytes = count.checked_mul(size_of::<T>()).ok_or(Fault::INVALID_VALUE)?;
        if process.captured(stream).is_none() {
            // SAFETY: by cuda.h memory of the device for so many values, aligned for them.
            unsafe { std::slice::from_raw_parts_mut(to as *mut T, count) }.fill(value);
        }
        run(process, stream, bytes as u64 / 1024)
    })
}

/// The same, and waits.
fn set_now<T: Copy>(to: u64, value: T, count: usize, stream: Key) -> c_uint {
    match set(to, value, count, stream) {
        0 => call(|| {
            wait_all();
            Ok(())
        }),
        fault => fault,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8_v2(to: u64, value: u8, count: usize) -> c_uint {
    set_now(to, value, count, Key::legacy(0))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8_v2_ptds(to: u64, value: u8, count: usize) -> c_uint {
    set_now(to, value, count, Key::per_thread(0))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8Async(to: u64, value: u8, count: usize, stream: usize) -> c_uint {
    set(to, value, count, Key::legacy(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8Async_ptsz(to: u64, value: u8, count: usize, stream: usize) -> c_uint {
    set(to, value, count, Key::per_thread(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD16_v2(to: u64, value: u16, count: usize) -> c_uint {
    set_now(to, value, count, Key::legacy(0))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD16_v2_ptds(to: u64, value: u16, count: usize) -> c_uint {
    set_now(to, value, count, Key::per_thread(0))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD16Async(to: u64, value: u16, count: usize, stream: usize) -> c_uint {
    set(to, value, count, Key::legacy(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD16Async_ptsz(to: u64, value: u16, count: usize, stream: usize) -> c_uint {
    set(to, value, count, Key::per_thread(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD32_v2(to: u64, value: u32, count: usize) -> c_uint {
    set_now(to, value, count, Key::legacy(0))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD32_v2_ptds(to: u64, value: u32, count: usize) -> c_uint {
    set_now(to, value, count, Key::per_thread(0))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD32Async(to: u64, value: u32, count: usize, stream: usize) -> c_uint {
    set(to, value, count, Key::legacy(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD32Async_ptsz(to: u64, value: u32, count: usize, stream: usize) -> c_uint {
    set(to, value, count, Key::per_thread(stream))
}
