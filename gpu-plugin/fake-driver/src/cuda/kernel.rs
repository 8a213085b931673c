//! The other ways to find a kernel and to launch one.

use std::ffi::{c_char, c_int, c_uint, c_void};

use super::abi::{Fault, call, get, put};
use super::launch::{cuModuleGetFunction, cuModuleLoadData, launch, perform};
use super::process::process;
use super::stream::Key;

/// `CUlaunchConfig`, as far as it is read.
#[repr(C)]
#[derive(Clone, Copy)]
struct Config {
    sizes: [c_uint; 7],
    stream: usize,
}

#[unsafe(no_mangle)]
extern "C" fn cuLaunchKernelEx(
    config: *const Config,
    function: usize,
    parameters: *const *const c_void,
    _extra: *const *const c_void,
) -> c_uint {
    match get(config) {
        Ok(config) => launch(function, Key::legacy(config.stream), parameters),
        Err(fault) => fault.0,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuLaunchKernelEx_ptsz(
    config: *const Config,
    function: usize,
    parameters: *const *const c_void,
    _extra: *const *const c_void,
) -> c_uint {
    match get(config) {
        Ok(config) => launch(function, Key::per_thread(config.stream), parameters),
        Err(fault) => fault.0,
    }
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "cuda.h")]
extern "C" fn cuLaunchCooperativeKernel(
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
) -> c_uint {
    launch(function, Key::legacy(stream), parameters)
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "cuda.h")]
extern "C" fn cuLaunchCooperativeKernel_ptsz(
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
) -> c_uint {
    launch(function, Key::per_thread(stream), parameters)
}

/// `CUDA_KERNEL_NODE_PARAMS_v2`, as far as it is read.
#[repr(C)]
#[derive(Clone, Copy)]
struct Node {
    function: usize,
    sizes: [c_uint; 7],
    parameters: *const *const c_void,
}

/// What it writes is written once, when the node is added: graphs know only how long they take.
#[unsafe(no_mangle)]
extern "C" fn cuGraphAddKernelNode_v2(
    node: *mut usize,
    graph: usize,
    _after: *const usize,
    _count: usize,
    kernel: *const Node,
) -> c_uint {
    call(|| {
        let kernel = get(kernel)?;
        let mut process = process();
        let time = perform(&mut process, kernel.function, kernel.parameters)?;
        process.graphs.get_mut(&graph).ok_or(Fault::INVALID_HANDLE)?.0 += time;
        let handle = process.handle();
        put(node, handle)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleLoadDataEx(
    module: *mut usize,
    image: *const c_void,
    _count: c_uint,
    _options: *const c_uint,
    _values: *const *const c_void,
) -> c_uint {
    cuModuleLoadData(module, image)
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "cuda.h")]
extern "C" fn cuLibraryLoadData(
    library: *mut usize,
    code: *const c_void,
    _options: *const c_uint,
    _values: *const *const c_void,
    _count: c_uint,
    _library_options: *const c_uint,
    _library_values: *const *const c_void,
    _library_count: c_uint,
) -> c_uint {
    call(|| {
        let handle = process().handle();
        let _image = code;
        put(library, handle)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuLibraryUnload(_library: usize) -> c_uint {
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuLibraryGetKernel(kernel: *mut usize, library: usize, name: *const c_char) -> c_uint {
    cuModuleGetFunction(kernel, library, name)
}

/// A kernel and its function have the same handle.
#[unsafe(no_mangle)]
extern "C" fn cuKernelGetFunction(function: *mut usize, kernel: usize) -> c_uint {
    call(|| put(function, kernel))
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncGetAttribute(value: *mut c_int, attribute: c_uint, _function: usize) -> c_uint {
    // MAX_THREADS_PER_BLOCK; the kernels need no memory of their own.
    call(|| put(value, if attribute == 0 { 1024 } else { 0 }))
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncSetAttribute(_function: usize, _attribute: c_uint, _value: c_int) -> c_uint {
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    count: *mut c_int,
    _function: usize,
    _block: c_int,
    _shared: usize,
) -> c_uint {
    call(|| put(count, 1))
}
