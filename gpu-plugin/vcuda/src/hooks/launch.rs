//! Work for a card: kernels and graphs.

use std::ffi::{c_int, c_void};

use crate::abi::{CUDA_ERROR_NOT_FOUND, CUDA_ERROR_NOT_SUPPORTED, CUresult, CUstream, Unsigned};
use crate::compute::{self, Stream};
use crate::hook::hooks;

/// `CUlaunchConfig`, as far as it is read.
#[repr(C)]
pub(crate) struct CUlaunchConfig {
    /// Grid and blocks in three dimensions each, and shared memory.
    sizes: [Unsigned; 7],
    stream: CUstream,
}

/// The stream of a launch. One without a configuration is refused by the driver.
///
/// # Safety
///
/// Null, or a configuration.
unsafe fn configured(config: *const CUlaunchConfig) -> CUstream {
    // SAFETY: by this function's contract.
    unsafe { config.as_ref() }.map_or(std::ptr::null_mut(), |config| config.stream)
}

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "waits for its time slice" fn cuLaunchKernel(function: *mut c_void, grid_x: Unsigned, grid_y: Unsigned, grid_z: Unsigned, block_x: Unsigned, block_y: Unsigned, block_z: Unsigned, shared: Unsigned, stream: CUstream, parameters: *mut *mut c_void, extra: *mut *mut c_void) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::legacy(stream), || unsafe { real(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, stream, parameters, extra) })
    }
    "waits for its time slice" fn cuLaunchCooperativeKernel(function: *mut c_void, grid_x: Unsigned, grid_y: Unsigned, grid_z: Unsigned, block_x: Unsigned, block_y: Unsigned, block_z: Unsigned, shared: Unsigned, stream: CUstream, parameters: *mut *mut c_void) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::legacy(stream), || unsafe { real(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, stream, parameters) })
    }
    "waits for its time slice" fn cuLaunchKernelEx(config: *const CUlaunchConfig, function: *mut c_void, parameters: *mut *mut c_void, extra: *mut *mut c_void) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        let stream = unsafe { configured(config) };
        // SAFETY: as above.
        compute::launch(Stream::legacy(stream), || unsafe { real(config, function, parameters, extra) })
    }
    "waits for its time slice, as one launch" fn cuGraphLaunch(graph: *mut c_void, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::legacy(stream), || unsafe { real(graph, stream) })
    }
    "waits for its time slice" fn cuLaunchKernel_ptsz(function: *mut c_void, grid_x: Unsigned, grid_y: Unsigned, grid_z: Unsigned, block_x: Unsigned, block_y: Unsigned, block_z: Unsigned, shared: Unsigned, stream: CUstream, parameters: *mut *mut c_void, extra: *mut *mut c_void) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::per_thread(stream), || unsafe { real(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, stream, parameters, extra) })
    }
    "waits for its time slice" fn cuLaunchCooperativeKernel_ptsz(function: *mut c_void, grid_x: Unsigned, grid_y: Unsigned, grid_z: Unsigned, block_x: Unsigned, block_y: Unsigned, block_z: Unsigned, shared: Unsigned, stream: CUstream, parameters: *mut *mut c_void) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::per_thread(stream), || unsafe { real(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, stream, parameters) })
    }
    "waits for its time slice" fn cuLaunchKernelEx_ptsz(config: *const CUlaunchConfig, function: *mut c_void, parameters: *mut *mut c_void, extra: *mut *mut c_void) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        let stream = unsafe { configured(config) };
        // SAFETY: as above.
        compute::launch(Stream::per_thread(stream), || unsafe { real(config, function, parameters, extra) })
    }
    "waits for its time slice, as one launch" fn cuGraphLaunch_ptsz(graph: *mut c_void, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::per_thread(stream), || unsafe { real(graph, stream) })
    }
    "waits for its time slice" fn cuLaunch(function: *mut c_void) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::Legacy, || unsafe { real(function) })
    }
    "waits for its time slice" fn cuLaunchGrid(function: *mut c_void, width: c_int, height: c_int) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::Legacy, || unsafe { real(function, width, height) })
    }
    "waits for its time slice" fn cuLaunchGridAsync(function: *mut c_void, width: c_int, height: c_int, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::legacy(stream), || unsafe { real(function, width, height, stream) })
    }
    "refused: it would need a time slice of several cards at once; CUDA 13 has removed it" fn cuLaunchCooperativeKernelMultiDevice(list: *mut c_void, count: Unsigned, flags: Unsigned) -> CUresult |real| {
        let _not_called = (real, list, count, flags);
        CUDA_ERROR_NOT_SUPPORTED
    }
}
