//! Calls that tell how large a card is: the slice.

use crate::abi::{CUDA_ERROR_NOT_FOUND, CUDA_SUCCESS, CUdevice, CUresult};
use crate::cards;
use crate::hook::hooks;
use crate::limits;
use crate::memory::charge;

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "tells the slice" fn cuDeviceTotalMem_v2(bytes: *mut usize, device: CUdevice) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        match unsafe { real(bytes, device) } {
            CUDA_SUCCESS => match cards::for_device(device) {
                Ok(card) => {
                    // SAFETY: the driver has succeeded, so it has written there.
                    unsafe { bytes.write(usize::try_from(card.limit_bytes).unwrap_or(usize::MAX)) };
                    CUDA_SUCCESS
                }
                Err(error) => error,
            },
            error => error,
        }
    }
    "tells the slice and what is left of it" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        match unsafe { real(free, total) } {
            CUDA_SUCCESS => {}
            error => return error,
        }
        let told = cards::current_context().and_then(|(_, card)| charge::limit_and_used(card));
        let (limit, used) = match told {
            Ok(told) => told,
            Err(error) => return error,
        };
        // SAFETY: the driver has succeeded, so it has written there.
        let of_card = unsafe { free.read() } as u64;
        let spills = limits::get().is_some_and(|limits| limits.virtual_memory);
        let left = (limit - used).min(if spills { u64::MAX } else { of_card });
        // SAFETY: as above.
        unsafe {
            free.write(usize::try_from(left).unwrap_or(usize::MAX));
            total.write(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        CUDA_SUCCESS
    }
}
