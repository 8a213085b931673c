//! Arrays: memory whose layout is the driver's own.

use crate::abi::{
    CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_FOUND, CUDA_ERROR_OUT_OF_MEMORY, CUresult, Unsigned,
};
use crate::hook::{check, hooks};
use crate::memory::allocations::{AllocationCharge, PendingFree, Placement};

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
    "charged by its elements" fn cuArrayCreate_v2(array: *mut u64, descriptor: *const CUDA_ARRAY_DESCRIPTOR) -> CUresult |real| try {
        // SAFETY: null, or by cuda.h a descriptor of the caller's.
        let shape = unsafe { descriptor.as_ref() }.ok_or(CUDA_ERROR_INVALID_VALUE)?;
        let charge = charge_elements([shape.width, shape.height, 1], shape.format, shape.channels, 1)?;
        // SAFETY: the caller's own arguments.
        check(unsafe { real(array, descriptor) })?;
        // SAFETY: the driver has succeeded, so it has written the handle there.
        charge.settle(unsafe { array.read() }, Placement::Whole);
        Ok(())
    }
    "charged by its elements" fn cuArray3DCreate_v2(array: *mut u64, descriptor: *const CUDA_ARRAY3D_DESCRIPTOR) -> CUresult |real| try {
        // SAFETY: null, or by cuda.h a descriptor of the caller's.
        let shape = unsafe { descriptor.as_ref() }.ok_or(CUDA_ERROR_INVALID_VALUE)?;
        let charge = charge_elements([shape.width, shape.height, shape.depth], shape.format, shape.channels, 1)?;
        // SAFETY: the caller's own arguments.
        check(unsafe { real(array, descriptor) })?;
        // SAFETY: the driver has succeeded, so it has written the handle there.
        charge.settle(unsafe { array.read() }, Placement::Whole);
        Ok(())
    }
    "charged by its elements, all levels as large as the first two" fn cuMipmappedArrayCreate(array: *mut u64, descriptor: *const CUDA_ARRAY3D_DESCRIPTOR, levels: Unsigned) -> CUresult |real| try {
        // SAFETY: null, or by cuda.h a descriptor of the caller's.
        let shape = unsafe { descriptor.as_ref() }.ok_or(CUDA_ERROR_INVALID_VALUE)?;
        // Each level halves each side: all of them together are less than twice the first.
        let times = if levels > 1 { 2 } else { 1 };
        let charge = charge_elements([shape.width, shape.height, shape.depth], shape.format, shape.channels, times)?;
        // SAFETY: the caller's own arguments.
        check(unsafe { real(array, descriptor, levels) })?;
        // SAFETY: the driver has succeeded, so it has written the handle there.
        charge.settle(unsafe { array.read() }, Placement::Whole);
        Ok(())
    }
    "given back" fn cuArrayDestroy(array: u64) -> CUresult |real| try {
        let free = PendingFree::new(array);
        // SAFETY: the caller's own arguments.
        check(unsafe { real(array) })?;
        free.settle();
        Ok(())
    }
    "given back" fn cuMipmappedArrayDestroy(array: u64) -> CUresult |real| try {
        let free = PendingFree::new(array);
        // SAFETY: the caller's own arguments.
        check(unsafe { real(array) })?;
        free.settle();
        Ok(())
    }
}

/// Charges an array so many times.
fn charge_elements(
    sides: [usize; 3],
    format: Unsigned,
    channels: Unsigned,
    times: u64,
) -> Result<AllocationCharge, CUresult> {
    let bytes = elements(sides, format, channels).and_then(|bytes| bytes.checked_mul(times));
    AllocationCharge::new(bytes.ok_or(CUDA_ERROR_OUT_OF_MEMORY)?)
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
