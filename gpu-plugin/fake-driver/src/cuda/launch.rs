//! Modules, functions and kernels.

use std::ffi::{CStr, c_char, c_uint, c_void};
use std::sync::MutexGuard;

use super::abi::{Done, Fault, call, get, put};
use super::process::{Process, current, current_handle, process, wait_until};
use super::stream::Key;

/// Kernels, by the handles of their functions.
const KERNELS: [(&CStr, usize); 3] = [(c"spin", 0x101), (c"fill", 0x102), (c"fault", 0x103)];

/// Gives a stream so much work, and waits where the queue is full.
pub(crate) fn run(mut process: MutexGuard<'_, Process>, stream: Key, time: u64) -> Done {
    let (_, device) = current(&process)?;
    if let Some(graph) = process.captured(stream) {
        process.graphs.entry(graph).or_default().0 += time;
        return Ok(());
    }
    let end = device.card.work(process.streams.after(stream), time);
    process.streams.ends_at(stream, end);
    let room = process.streams.queued(end);
    // Other threads call meanwhile.
    drop(process);
    wait_until(room);
    Ok(())
}

/// A kernel's parameter: `parameters` points to as many pointers as it has.
fn parameter<T: Copy>(parameters: *const *const c_void, at: usize) -> Result<T, Fault> {
    if parameters.is_null() {
        return Err(Fault::INVALID_VALUE);
    }
    // SAFETY: by cuda.h there is a pointer for each parameter of the function.
    get(get(unsafe { parameters.add(at) })?.cast::<T>())
}

/// Does what a kernel does and tells how long it takes.
pub(crate) fn perform(
    process: &mut Process,
    function: usize,
    parameters: *const *const c_void,
) -> Result<u64, Fault> {
    match function {
        0x101 => parameter::<u64>(parameters, 0),
        0x102 => {
            fill(parameters)?;
            parameter::<u64>(parameters, 3)
        }
        0x103 => {
            let at = current_handle().checked_sub(1).ok_or(Fault::INVALID_CONTEXT)?;
            process.contexts.get_mut(at).ok_or(Fault::INVALID_CONTEXT)?.broken = true;
            Ok(0)
        }
        _ => Err(Fault::INVALID_HANDLE),
    }
}

pub(crate) fn launch(function: usize, stream: Key, parameters: *const *const c_void) -> c_uint {
    call(|| {
        let mut process = process();
        current(&process)?;
        let time = perform(&mut process, function, parameters)?;
        // A kernel that goes wrong is launched well: the next call says it.
        if time == 0 && current(&process).is_err() { Ok(()) } else { run(process, stream, time) }
    })
}

/// Nobody may look at what a kernel writes before it has ended, so it is written at once.
fn fill(parameters: *const *const c_void) -> Done {
    let (at, count, value) = (
        parameter::<u64>(parameters, 0)?,
        parameter::<u64>(parameters, 1)?,
        parameter::<u32>(parameters, 2)?,
    );
    for word in 0..count as usize {
        // SAFETY: by the kernel's own terms so many words from there on are memory of the device.
        unsafe { (at as *mut u32).add(word).write(value) };
    }
    Ok(())
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "cuda.h")]
extern "C" fn cuLaunchKernel(
    function: usize,
    _gx: c_uint,
    _gy: c_uint,
    _gz: c_uint,
    _bx: c_uint,
    _by: c_uint,
    _bz: c_uint,
    _shared: c_uint,
    stream: usize,
    parameters: *const *const c_void,
    _extra: *const *const c_void,
) -> c_uint {
    launch(function, Key::legacy(stream), parameters)
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "cuda.h")]
extern "C" fn cuLaunchKernel_ptsz(
    function: usize,
    _gx: c_uint,
    _gy: c_uint,
    _gz: c_uint,
    _bx: c_uint,
    _by: c_uint,
    _bz: c_uint,
    _shared: c_uint,
    stream: usize,
    parameters: *const *const c_void,
    _extra: *const *const c_void,
) -> c_uint {
    launch(function, Key::per_thread(stream), parameters)
}

/// Any image is a module that has all kernels.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuModuleLoadData(module: *mut usize, _image: *const c_void) -> c_uint {
    call(|| {
        let mut process = process();
        current(&process)?;
        let handle = process.handle();
        put(module, handle)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleUnload(_module: usize) -> c_uint {
    0
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuModuleGetFunction(
    function: *mut usize,
    _module: usize,
    name: *const c_char,
) -> c_uint {
    call(|| {
        if name.is_null() {
            return Err(Fault::INVALID_VALUE);
        }
        // SAFETY: not null, and by cuda.h a text that ends with NUL.
        let name = unsafe { CStr::from_ptr(name) };
        let found = KERNELS.iter().find(|(known, _)| *known == name).ok_or(Fault::NOT_FOUND)?;
        put(function, found.1)
    })
}
