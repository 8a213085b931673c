//! Devices and contexts.

use std::ffi::{c_char, c_int, c_uint};

use crate::cuda::abi::{BLOCK, call, write_to};
use crate::cuda::current::{current_handle, pop, push, set_current};
use crate::cuda::exports::VERSION;
use crate::cuda::process::{init, process};
use crate::cuda::work::wait_all;

#[unsafe(no_mangle)]
extern "C" fn cuInit(_flags: c_uint) -> c_uint {
    call(init)
}

#[unsafe(no_mangle)]
extern "C" fn cuDriverGetVersion(version: *mut c_int) -> c_uint {
    call(|| write_to(version, VERSION))
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetCount(count: *mut c_int) -> c_uint {
    call(|| write_to(count, process().devices()?.len() as c_int))
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGet(device: *mut c_int, number: c_int) -> c_uint {
    call(|| {
        process().device(number)?;
        write_to(device, number)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetName(name: *mut c_char, length: c_int, number: c_int) -> c_uint {
    call(|| {
        let (_, device) = process().device(number)?;
        let bytes = device.model.bytes().take(usize::try_from(length).unwrap_or(0).saturating_sub(1));
        for (at, byte) in bytes.chain([0]).enumerate() {
            // SAFETY: by cuda.h the caller's array holds `length` bytes, and no more are written.
            write_to(unsafe { name.add(at) }, byte.cast_signed())?;
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetUuid_v2(uuid: *mut [u8; 16], number: c_int) -> c_uint {
    call(|| write_to(uuid, process().device(number)?.1.uuid))
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetUuid(uuid: *mut [u8; 16], number: c_int) -> c_uint {
    cuDeviceGetUuid_v2(uuid, number)
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, number: c_int) -> c_uint {
    call(|| write_to(bytes, process().device(number)?.1.card.capacity() as usize))
}

/// Numbers of a card of compute capability 9.0 with 132 multiprocessors, as far as programs ask for them.
#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_uint, number: c_int) -> c_uint {
    call(|| {
        process().device(number)?;
        write_to(
            value,
            match attribute {
                1..=3 => 1024, // MAX_THREADS_PER_BLOCK, MAX_BLOCK_DIM_X, _Y
                10 => 32,      // WARP_SIZE
                16 => 132,     // MULTIPROCESSOR_COUNT
                75 => 9,       // COMPUTE_CAPABILITY_MAJOR
                // UNIFIED_ADDRESSING, MANAGED_MEMORY, CONCURRENT_MANAGED_ACCESS, VIRTUAL_MEMORY_MANAGEMENT, MEMORY_POOLS
                41 | 83 | 89 | 102 | 115 => 1,
                _ => 0,
            },
        )
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxCreate_v2(context: *mut usize, _flags: c_uint, number: c_int) -> c_uint {
    call(|| {
        let handle = process().create_context(number)?;
        set_current(handle);
        write_to(context, handle)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxCreate_v4(
    context: *mut usize,
    _parameters: usize,
    flags: c_uint,
    number: c_int,
) -> c_uint {
    cuCtxCreate_v2(context, flags, number)
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxDestroy_v2(context: usize) -> c_uint {
    call(|| {
        wait_all();
        process().destroy_context(context)?;
        if current_handle() == context {
            set_current(0);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn cuDevicePrimaryCtxRetain(context: *mut usize, number: c_int) -> c_uint {
    call(|| write_to(context, process().retain_primary(number)?))
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn cuDevicePrimaryCtxRelease_v2(number: c_int) -> c_uint {
    call(|| process().release_primary(number))
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxReset_v2(number: c_int) -> c_uint {
    call(|| process().reset_primary(number))
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxGetState(number: c_int, flags: *mut c_uint, active: *mut c_int) -> c_uint {
    call(|| {
        let is_active = process().has_primary(number)?;
        write_to(flags, 0)?;
        write_to(active, c_int::from(is_active))
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCurrent(context: usize) -> c_uint {
    set_current(context);
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxGetCurrent(context: *mut usize) -> c_uint {
    call(|| write_to(context, current_handle()))
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxPushCurrent_v2(context: usize) -> c_uint {
    push(context);
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxPopCurrent_v2(context: *mut usize) -> c_uint {
    let was = pop();
    if context.is_null() { 0 } else { call(|| write_to(context, was)) }
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxGetDevice(device: *mut c_int) -> c_uint {
    call(|| write_to(device, process().current()?.0 as c_int))
}

/// What a block is of, for programs that ask how memory is managed.
#[unsafe(no_mangle)]
extern "C" fn cuCtxGetLimit(bytes: *mut usize, _limit: c_uint) -> c_uint {
    call(|| write_to(bytes, BLOCK as usize))
}

#[unsafe(no_mangle)]
extern "C" fn cuGetErrorString(code: c_uint, text: *mut *const c_char) -> c_uint {
    let words = match code {
        0 => c"no error",
        2 => c"out of memory",
        700 => c"an illegal memory access was encountered",
        800 => c"operation not permitted",
        _ => c"see cuda.h for this number",
    };
    call(|| write_to(text, words.as_ptr()))
}
