//! Launches of kernels and graphs.

use std::ffi::{c_uint, c_void};

use super::forms::both_forms;
use crate::cuda::abi::{call, read_from, write_to};
use crate::cuda::process::process;
use crate::cuda::state::streams::StreamKey;
use crate::cuda::work::run;

/// `CUlaunchConfig`, as far as it is read.
#[repr(C)]
#[derive(Clone, Copy)]
struct Config {
    sizes: [c_uint; 7],
    stream: usize,
}

fn launch(function: usize, stream: StreamKey, parameters: *const *const c_void) -> c_uint {
    call(|| run(|process, now| process.launch(function, stream, parameters, now)))
}

both_forms! {
    fn cuLaunchKernel | cuLaunchKernel_ptsz(
        function: usize, _gx: c_uint, _gy: c_uint, _gz: c_uint, _bx: c_uint, _by: c_uint, _bz: c_uint, _shared: c_uint,
        stream: usize, parameters: *const *const c_void, _extra: *const *const c_void
    ) |key of stream| {
        launch(function, key, parameters)
    }

    fn cuLaunchCooperativeKernel | cuLaunchCooperativeKernel_ptsz(
        function: usize, _gx: c_uint, _gy: c_uint, _gz: c_uint, _bx: c_uint, _by: c_uint, _bz: c_uint, _shared: c_uint,
        stream: usize, parameters: *const *const c_void
    ) |key of stream| {
        launch(function, key, parameters)
    }

    fn cuGraphLaunch | cuGraphLaunch_ptsz(executable: usize, stream: usize) |key of stream| {
        call(|| run(|process, now| {
            let time = process.graphs.get(executable)?.time;
            process.submit(key, time, now)
        }))
    }
}

/// `key` tells which stream a configuration's handle means.
fn launch_configured(
    config: *const Config,
    key: fn(usize) -> StreamKey,
    function: usize,
    parameters: *const *const c_void,
) -> c_uint {
    match read_from(config) {
        Ok(config) => launch(function, key(config.stream), parameters),
        Err(error) => error.0,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuLaunchKernelEx(
    config: *const Config,
    function: usize,
    parameters: *const *const c_void,
    _extra: *const *const c_void,
) -> c_uint {
    launch_configured(config, StreamKey::legacy, function, parameters)
}

#[unsafe(no_mangle)]
extern "C" fn cuLaunchKernelEx_ptsz(
    config: *const Config,
    function: usize,
    parameters: *const *const c_void,
    _extra: *const *const c_void,
) -> c_uint {
    launch_configured(config, StreamKey::per_thread, function, parameters)
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
        let kernel = read_from(kernel)?;
        let mut process = process();
        let time = process.perform(kernel.function, kernel.parameters)?;
        process.graphs.add_kernel(graph, time)?;
        write_to(node, process.new_handle())
    })
}
