//! Arrays: memory whose layout is the driver's own.

use crate::abi::{
    CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_FOUND, CUDA_ERROR_OUT_OF_MEMORY, CUDA_SUCCESS, CUresult,
    Unsigned,
};
use crate::cards;
use crate::hook::hooks;
use crate::hooks::memory::free;
use crate::memory::allocations::{self, Allocation, ChargeKind};
use crate::memory::{Charge, whole_blocks};

/// `CUDA_ARRAY_DESCRIPTOR_v2`
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CUDA_ARRAY_DESCRIPTOR {
    width: usize,
    height: usize,
    format: Unsigned,
    channels: Unsigned,
}

/// `CUDA_ARRAY3D_DESCRIPTOR_v2`
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CUDA_ARRAY3D_DESCRIPTOR {
    width: usize,
    height: usize,
    depth: usize,
    format: Unsigned,
    channels: Unsigned,
    flags: Unsigned,
}

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "charged by its elements" fn cuArrayCreate_v2(array: *mut u64, descriptor: *const CUDA_ARRAY_DESCRIPTOR) -> CUresult |real| {
        // SAFETY: null, or by cuda.h a descriptor of the caller's.
        let Some(it) = (unsafe { descriptor.as_ref() }) else { return CUDA_ERROR_INVALID_VALUE };
        let bytes = elements([it.width, it.height, 1], it.format, it.channels);
        // SAFETY: the caller's own arguments.
        create(array, bytes, || unsafe { real(array, descriptor) })
    }
    "charged by its elements" fn cuArray3DCreate_v2(array: *mut u64, descriptor: *const CUDA_ARRAY3D_DESCRIPTOR) -> CUresult |real| {
        // SAFETY: null, or by cuda.h a descriptor of the caller's.
        let Some(it) = (unsafe { descriptor.as_ref() }) else { return CUDA_ERROR_INVALID_VALUE };
        let bytes = elements([it.width, it.height, it.depth], it.format, it.channels);
        // SAFETY: the caller's own arguments.
        create(array, bytes, || unsafe { real(array, descriptor) })
    }
    "charged by its elements, all levels as large as the first two" fn cuMipmappedArrayCreate(array: *mut u64, descriptor: *const CUDA_ARRAY3D_DESCRIPTOR, levels: Unsigned) -> CUresult |real| {
        // SAFETY: null, or by cuda.h a descriptor of the caller's.
        let Some(it) = (unsafe { descriptor.as_ref() }) else { return CUDA_ERROR_INVALID_VALUE };
        let bytes = elements([it.width, it.height, it.depth], it.format, it.channels);
        // Each level halves each side: all of them together are less than twice the first.
        let bytes = bytes.and_then(|bytes| bytes.checked_mul(if levels > 1 { 2 } else { 1 }));
        // SAFETY: the caller's own arguments.
        create(array, bytes, || unsafe { real(array, descriptor, levels) })
    }
    "given back" fn cuArrayDestroy(array: u64) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        free(array, || unsafe { real(array) })
    }
    "given back" fn cuMipmappedArrayDestroy(array: u64) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        free(array, || unsafe { real(array) })
    }
}

/// Bytes of an array. A side of 0 is one that it does not have. Formats are `CUarray_format`: those that are not listed there by
/// size are taken for the widest, which is four bytes a channel.
fn elements(sides: [usize; 3], format: Unsigned, channels: Unsigned) -> Option<u64> {
    let channel: u64 = match format {
        0x01 | 0x08 => 1,
        0x02 | 0x09 | 0x10 => 2,
        _ => 4,
    };
    let sides = sides.into_iter().map(|side| side.max(1) as u64);
    sides.chain([u64::from(channels.max(1))]).try_fold(channel, u64::checked_mul)
}

fn create(array: *mut u64, bytes: Option<u64>, real: impl FnOnce() -> CUresult) -> CUresult {
    let (context, card) = match cards::current_context() {
        Ok(current) => current,
        Err(error) => return error,
    };
    let Some(cost) = bytes.and_then(whole_blocks) else { return CUDA_ERROR_OUT_OF_MEMORY };
    let charge = match Charge::new(card, cost) {
        Ok(charge) => charge,
        Err(error) => return error,
    };
    let result = real();
    if result == CUDA_SUCCESS {
        // SAFETY: the driver has succeeded, so it has written the handle there.
        let handle = unsafe { array.read() };
        let kind = ChargeKind::Fixed(cost);
        allocations::record(
            handle,
            Allocation { card, context: context as usize, bytes: cost, kind },
            charge,
        );
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_costs_its_elements() {
        assert_eq!(elements([4, 0, 0], 0x20, 4), Some(64));
        assert_eq!(elements([4, 3, 2], 0x10, 1), Some(48));
        assert_eq!(elements([usize::MAX, 2, 1], 0x01, 1), None);
    }
}
