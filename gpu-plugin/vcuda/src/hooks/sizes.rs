//! Calls that report memory sizes: those of the slice.

use crate::abi::{CUDA_ERROR_NOT_FOUND, CUdevice, CUresult};
use crate::cards;
use crate::hook::{check, hooks};
use crate::limits;
use crate::memory::charge::limit_and_used;

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "tells the slice" fn cuDeviceTotalMem_v2(bytes: *mut usize, device: CUdevice) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        check(unsafe { real(bytes, device) })?;
        let card = cards::for_device(device)?;
        // SAFETY: the driver has succeeded, so it has written there.
        unsafe { bytes.write(saturated(card.limit_bytes)) };
        Ok(())
    }
    "tells the slice and what is left of it" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        check(unsafe { real(free, total) })?;
        let (_, card) = cards::current_context()?;
        let (limit, used) = limit_and_used(card)?;
        // SAFETY: the driver has succeeded, so it has written there.
        let free_on_card = unsafe { free.read() } as u64;
        let spills = limits::get().is_some_and(|limits| limits.virtual_memory);
        let left = if spills { limit - used } else { (limit - used).min(free_on_card) };
        // SAFETY: as above.
        unsafe {
            free.write(saturated(left));
            total.write(saturated(limit));
        }
        Ok(())
    }
}

fn saturated(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
