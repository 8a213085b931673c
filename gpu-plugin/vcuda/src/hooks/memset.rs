//! Work for a card that a program does not see as a kernel: filling memory.

use crate::abi::{CUDA_ERROR_NOT_FOUND, CUdeviceptr, CUresult, CUstream, Unsigned};
use crate::compute::{self, Stream};
use crate::hook::hooks;

/// The functions that fill memory, by the type of what they fill it with: for one row and for several, each in the forms that the
/// driver has, and the form of CUDA 2, whose addresses and sizes have 32 bits.
macro_rules! memsets {
    ($($value:ty:
        $row:ident $row_per_thread:ident $row_async:ident $row_async_per_thread:ident $row_32:ident,
        $rows:ident $rows_per_thread:ident $rows_async:ident $rows_async_per_thread:ident $rows_32:ident;)*) => {
        hooks! { Cuda, CUDA_ERROR_NOT_FOUND; $(
            "waits for its time slice" fn $row(pointer: CUdeviceptr, value: $value, count: usize) -> CUresult |real| {
                // SAFETY: the caller's own arguments.
                compute::launch(Stream::Legacy, || unsafe { real(pointer, value, count) })
            }
            "waits for its time slice" fn $row_per_thread(pointer: CUdeviceptr, value: $value, count: usize) -> CUresult |real| {
                // SAFETY: the caller's own arguments.
                compute::launch(Stream::PerThread, || unsafe { real(pointer, value, count) })
            }
            "waits for its time slice" fn $row_async(pointer: CUdeviceptr, value: $value, count: usize, stream: CUstream) -> CUresult |real| {
                // SAFETY: the caller's own arguments.
                compute::launch(Stream::legacy(stream), || unsafe { real(pointer, value, count, stream) })
            }
            "waits for its time slice" fn $row_async_per_thread(pointer: CUdeviceptr, value: $value, count: usize, stream: CUstream) -> CUresult |real| {
                // SAFETY: the caller's own arguments.
                compute::launch(Stream::per_thread(stream), || unsafe { real(pointer, value, count, stream) })
            }
            "waits for its time slice; its addresses have 32 bits" fn $row_32(pointer: Unsigned, value: $value, count: Unsigned) -> CUresult |real| {
                // SAFETY: the caller's own arguments.
                compute::launch(Stream::Legacy, || unsafe { real(pointer, value, count) })
            }
            "waits for its time slice" fn $rows(pointer: CUdeviceptr, pitch: usize, value: $value, width: usize, height: usize) -> CUresult |real| {
                // SAFETY: the caller's own arguments.
                compute::launch(Stream::Legacy, || unsafe { real(pointer, pitch, value, width, height) })
            }
            "waits for its time slice" fn $rows_per_thread(pointer: CUdeviceptr, pitch: usize, value: $value, width: usize, height: usize) -> CUresult |real| {
                // SAFETY: the caller's own arguments.
                compute::launch(Stream::PerThread, || unsafe { real(pointer, pitch, value, width, height) })
            }
            "waits for its time slice" fn $rows_async(pointer: CUdeviceptr, pitch: usize, value: $value, width: usize, height: usize, stream: CUstream) -> CUresult |real| {
                // SAFETY: the caller's own arguments.
                compute::launch(Stream::legacy(stream), || unsafe { real(pointer, pitch, value, width, height, stream) })
            }
            "waits for its time slice" fn $rows_async_per_thread(pointer: CUdeviceptr, pitch: usize, value: $value, width: usize, height: usize, stream: CUstream) -> CUresult |real| {
                // SAFETY: the caller's own arguments.
                compute::launch(Stream::per_thread(stream), || unsafe { real(pointer, pitch, value, width, height, stream) })
            }
            "waits for its time slice; its addresses have 32 bits" fn $rows_32(pointer: Unsigned, pitch: Unsigned, value: $value, width: Unsigned, height: Unsigned) -> CUresult |real| {
                // SAFETY: the caller's own arguments.
                compute::launch(Stream::Legacy, || unsafe { real(pointer, pitch, value, width, height) })
            }
        )* }
    };
}

memsets! {
    u8:
        cuMemsetD8_v2 cuMemsetD8_v2_ptds cuMemsetD8Async cuMemsetD8Async_ptsz cuMemsetD8,
        cuMemsetD2D8_v2 cuMemsetD2D8_v2_ptds cuMemsetD2D8Async cuMemsetD2D8Async_ptsz cuMemsetD2D8;
    u16:
        cuMemsetD16_v2 cuMemsetD16_v2_ptds cuMemsetD16Async cuMemsetD16Async_ptsz cuMemsetD16,
        cuMemsetD2D16_v2 cuMemsetD2D16_v2_ptds cuMemsetD2D16Async cuMemsetD2D16Async_ptsz cuMemsetD2D16;
    Unsigned:
        cuMemsetD32_v2 cuMemsetD32_v2_ptds cuMemsetD32Async cuMemsetD32Async_ptsz cuMemsetD32,
        cuMemsetD2D32_v2 cuMemsetD2D32_v2_ptds cuMemsetD2D32Async cuMemsetD2D32Async_ptsz cuMemsetD2D32;
}
