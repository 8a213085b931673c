//! Memory that a process lends to another: from then on it lies in a file without a name, which the other opens.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::os::fd::AsRawFd as _;

use super::abi::{Fault, call, put};
use super::memory::{free_anywhere, map};
use super::process::{current, current_handle, process};

/// `MAP_SHARED | MAP_FIXED` (asm-generic/mman-common.h)
const OVER: c_int = 0x1 | 0x10;

unsafe extern "C" {
    fn mmap(
        at: *mut c_void,
        size: usize,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
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

/// Lays a file over addresses that are this process's own.
fn lay(file: c_int, at: u64, bytes: u64) -> Result<(), Fault> {
    // SAFETY: whole blocks of a mapping of `map`, which the file takes the place of.
    let laid = unsafe { mmap(at as *mut c_void, bytes as usize, 3, OVER, file, 0) };
    if laid as u64 == at { Ok(()) } else { Err(Fault::OUT_OF_MEMORY) }
}

/// Only what has blocks of its own is lent.
#[unsafe(no_mangle)]
extern "C" fn cuIpcGetMemHandle(handle: *mut Handle, at: u64) -> c_uint {
    call(|| {
        let process = process();
        current(&process)?;
        let taken = process.arenas.values().find_map(|arena| arena.taken.get(&at).copied());
        let (_, _, bytes) = taken.filter(|(.., cost)| *cost > 0).ok_or(Fault::INVALID_VALUE)?;
        // SAFETY: a name that ends with NUL; the file stays open as long as the process.
        let file = unsafe { memfd_create(c"lent".as_ptr(), 1) };
        // SAFETY: what is at the address is as long, since it was allocated.
        let copied = unsafe {
            ftruncate(file, bytes.cast_signed()) == 0
                && write(file, at as *const c_void, bytes as usize) == bytes.cast_signed() as isize
        };
        if !copied {
            return Err(Fault::OUT_OF_MEMORY);
        }
        lay(file, at, bytes)?;
        put(handle, Handle { lender: u64::from(std::process::id()), file: file as u64, bytes, rest: [0; 5] })
    })
}

/// It takes nothing of the card: what is lent is the lender's.
#[unsafe(no_mangle)]
extern "C" fn cuIpcOpenMemHandle_v2(place: *mut u64, handle: Handle, _flags: c_uint) -> c_uint {
    call(|| {
        let mut process = process();
        let (device, _) = current(&process)?;
        let Handle { lender, file, bytes, .. } = handle;
        let path = format!("/proc/{lender}/fd/{file}");
        let file = File::options().read(true).write(true).open(path).map_err(|_| Fault::INVALID_VALUE)?;
        let at = map(bytes)?;
        lay(file.as_raw_fd(), at, bytes)?;
        process.arena(device).managed.insert(at, (current_handle(), bytes, 0));
        put(place, at)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuIpcCloseMemHandle(at: u64) -> c_uint {
    call(|| free_anywhere(&mut process(), at))
}
