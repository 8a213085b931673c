//! Arrays: memory in whole blocks, whose layout nobody asks for.

use std::ffi::c_uint;

use super::memory::{cuMemAlloc_v2, cuMemFree_v2};
use crate::cuda::abi::{BLOCK, CudaError, read_from};

/// `CUDA_ARRAY_DESCRIPTOR_v2`
#[repr(C)]
#[derive(Clone, Copy)]
struct Flat {
    width: usize,
    height: usize,
    format: c_uint,
    channels: c_uint,
}

/// `CUDA_ARRAY3D_DESCRIPTOR_v2`
#[repr(C)]
#[derive(Clone, Copy)]
struct Deep {
    width: usize,
    height: usize,
    depth: usize,
    format: c_uint,
    channels: c_uint,
    flags: c_uint,
}

/// Four bytes a channel at most.
fn create(array: *mut u64, sides: [usize; 3], format: c_uint, channels: c_uint) -> c_uint {
    let channel = if [1, 8].contains(&format) { 1 } else { 4 };
    let mut bytes = sides.into_iter().map(|side| side.max(1)).chain([channels as usize]);
    let bytes = bytes
        .try_fold(channel, usize::checked_mul)
        .and_then(|bytes| bytes.checked_next_multiple_of(BLOCK as usize));
    bytes.map_or(CudaError::OUT_OF_MEMORY.0, |bytes| cuMemAlloc_v2(array, bytes))
}

fn made(array: *mut u64, deep: *const Deep) -> c_uint {
    match read_from(deep) {
        Ok(it) => create(array, [it.width, it.height, it.depth], it.format, it.channels),
        Err(error) => error.0,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuArrayCreate_v2(array: *mut u64, descriptor: *const Flat) -> c_uint {
    match read_from(descriptor) {
        Ok(it) => create(array, [it.width, it.height, 1], it.format, it.channels),
        Err(error) => error.0,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuArray3DCreate_v2(array: *mut u64, descriptor: *const Deep) -> c_uint {
    made(array, descriptor)
}

/// The first level only: the others are smaller.
#[unsafe(no_mangle)]
extern "C" fn cuMipmappedArrayCreate(array: *mut u64, descriptor: *const Deep, _levels: c_uint) -> c_uint {
    made(array, descriptor)
}

#[unsafe(no_mangle)]
extern "C" fn cuArrayDestroy(array: u64) -> c_uint {
    cuMemFree_v2(array)
}

#[unsafe(no_mangle)]
extern "C" fn cuMipmappedArrayDestroy(array: u64) -> c_uint {
    cuArrayDestroy(array)
}
