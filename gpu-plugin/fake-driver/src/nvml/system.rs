//! Calls about the library and the driver.

use std::ffi::{c_char, c_int, c_uint};

use crate::nvml::abi;
use crate::nvml::ffi::{Array, Out, call};
use crate::nvml::state::lock_state;

/// CUDA 13.0, which belongs to the default driver version.
const CUDA: c_int = 13_000;

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> c_uint {
    call(|| lock_state().init())
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInit() -> c_uint {
    nvmlInit_v2()
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> c_uint {
    nvmlInit_v2()
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> c_uint {
    call(|| lock_state().shutdown())
}

#[unsafe(no_mangle)]
extern "C" fn nvmlErrorString(code: c_uint) -> *const c_char {
    abi::error_string(code).as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetDriverVersion(version: Array<c_char>, length: c_uint) -> c_uint {
    call(|| version.text(length, &lock_state().config()?.driver))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetNVMLVersion(version: Array<c_char>, length: c_uint) -> c_uint {
    // NVML's own versions are the driver's behind the major version of CUDA.
    call(|| version.text(length, &format!("{}.{}", CUDA / 1000, lock_state().config()?.driver)))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetCudaDriverVersion(version: Out<c_int>) -> c_uint {
    call(|| version.put(CUDA))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetCudaDriverVersion_v2(version: Out<c_int>) -> c_uint {
    nvmlSystemGetCudaDriverVersion(version)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetProcessName(pid: c_uint, name: Array<c_char>, length: c_uint) -> c_uint {
    call(|| {
        let path = std::fs::read_link(format!("/proc/{pid}/exe")).map_err(|_| abi::NvmlError::NOT_FOUND)?;
        let text: String = path.to_string_lossy().chars().take(length.saturating_sub(1) as usize).collect();
        name.text(length, &text)
    })
}
