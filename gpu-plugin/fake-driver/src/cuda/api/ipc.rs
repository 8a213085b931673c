//! Memory that a process lends to another: from then on it lies in a file without a name, which the other opens.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::os::fd::AsRawFd as _;

use crate::cuda::abi::{CudaError, call, write_to};
use crate::cuda::current::current_handle;
use crate::cuda::mapping::{map, map_file};
use crate::cuda::process::process;

unsafe extern "C" {
    fn memfd_create(name: *const c_char, flags: c_uint) -> c_int;
    fn ftruncate(file: c_int, length: i64) -> c_int;
    fn write(file: c_int, from: *const c_void, bytes: usize) -> isize;
}

/// `CUipcMemHandle`: 64 bytes.
#[repr(C)]
#[derive(Clone, Copy)]
struct Handle {
    lender: u64,
    file: u64,
    bytes: u64,
    rest: [u64; 5],
}

/// Only what has blocks of its own is lent.
#[unsafe(no_mangle)]
extern "C" fn cuIpcGetMemHandle(handle: *mut Handle, at: u64) -> c_uint {
    call(|| {
        let process = process();
        process.current()?;
        let found = process.arenas.values().find_map(|arena| arena.device_memory(at));
        let bytes = found.filter(|memory| memory.reserved > 0).ok_or(CudaError::INVALID_VALUE)?.reserved;
        // SAFETY: a name that ends with NUL; the file stays open as long as the process.
        let file = unsafe { memfd_create(c"lent".as_ptr(), 1) };
        // SAFETY: what is at the address is as long, since it was allocated.
        let copied = unsafe {
            ftruncate(file, bytes.cast_signed()) == 0
                && write(file, at as *const c_void, bytes as usize) == bytes.cast_signed() as isize
        };
        if !copied {
            return Err(CudaError::OUT_OF_MEMORY);
        }
        map_file(file, at, bytes)?;
        write_to(
            handle,
            Handle { lender: u64::from(std::process::id()), file: file as u64, bytes, rest: [0; 5] },
        )
    })
}

/// It takes nothing of the card: what is lent is the lender's.
#[unsafe(no_mangle)]
extern "C" fn cuIpcOpenMemHandle_v2(pointer: *mut u64, handle: Handle, _flags: c_uint) -> c_uint {
    call(|| {
        let mut process = process();
        let (device, _) = process.current()?;
        let Handle { lender, file, bytes, .. } = handle;
        let path = format!("/proc/{lender}/fd/{file}");
        let file = File::options().read(true).write(true).open(path).map_err(|_| CudaError::INVALID_VALUE)?;
        let at = map(bytes)?;
        map_file(file.as_raw_fd(), at, bytes)?;
        process.arena(device).insert_borrowed(at, current_handle(), bytes);
        write_to(pointer, at)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuIpcCloseMemHandle(at: u64) -> c_uint {
    call(|| process().free(at))
}
