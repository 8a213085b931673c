//! Work for a card that a program does not see as a kernel: filling memory.

use crate::abi::{CUDA_ERROR_NOT_FOUND, CUdeviceptr, CUresult, CUstream, Unsigned};
use crate::compute::{self, Stream};
use crate::hook::hooks;

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "waits for its turn" fn cuMemsetD8_v2(pointer: CUdeviceptr, value: u8, count: usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::Legacy, || unsafe { real(pointer, value, count) })
    }
    "waits for its turn" fn cuMemsetD8_v2_ptds(pointer: CUdeviceptr, value: u8, count: usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::PerThread, || unsafe { real(pointer, value, count) })
    }
    "waits for its turn" fn cuMemsetD8Async(pointer: CUdeviceptr, value: u8, count: usize, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::legacy(stream), || unsafe { real(pointer, value, count, stream) })
    }
    "waits for its turn" fn cuMemsetD8Async_ptsz(pointer: CUdeviceptr, value: u8, count: usize, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::per_thread(stream), || unsafe { real(pointer, value, count, stream) })
    }
    "waits for its turn; its addresses have 32 bits" fn cuMemsetD8(pointer: Unsigned, value: u8, count: Unsigned) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::Legacy, || unsafe { real(pointer, value, count) })
    }
    "waits for its turn" fn cuMemsetD2D8_v2(pointer: CUdeviceptr, pitch: usize, value: u8, width: usize, height: usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::Legacy, || unsafe { real(pointer, pitch, value, width, height) })
    }
    "waits for its turn" fn cuMemsetD2D8_v2_ptds(pointer: CUdeviceptr, pitch: usize, value: u8, width: usize, height: usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::PerThread, || unsafe { real(pointer, pitch, value, width, height) })
    }
    "waits for its turn" fn cuMemsetD2D8Async(pointer: CUdeviceptr, pitch: usize, value: u8, width: usize, height: usize, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::legacy(stream), || unsafe { real(pointer, pitch, value, width, height, stream) })
    }
    "waits for its turn" fn cuMemsetD2D8Async_ptsz(pointer: CUdeviceptr, pitch: usize, value: u8, width: usize, height: usize, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::per_thread(stream), || unsafe { real(pointer, pitch, value, width, height, stream) })
    }
    "waits for its turn; its addresses have 32 bits" fn cuMemsetD2D8(pointer: Unsigned, pitch: Unsigned, value: u8, width: Unsigned, height: Unsigned) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::Legacy, || unsafe { real(pointer, pitch, value, width, height) })
    }
    "waits for its turn" fn cuMemsetD16_v2(pointer: CUdeviceptr, value: u16, count: usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::Legacy, || unsafe { real(pointer, value, count) })
    }
    "waits for its turn" fn cuMemsetD16_v2_ptds(pointer: CUdeviceptr, value: u16, count: usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::PerThread, || unsafe { real(pointer, value, count) })
    }
    "waits for its turn" fn cuMemsetD16Async(pointer: CUdeviceptr, value: u16, count: usize, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::legacy(stream), || unsafe { real(pointer, value, count, stream) })
    }
    "waits for its turn" fn cuMemsetD16Async_ptsz(pointer: CUdeviceptr, value: u16, count: usize, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::per_thread(stream), || unsafe { real(pointer, value, count, stream) })
    }
    "waits for its turn; its addresses have 32 bits" fn cuMemsetD16(pointer: Unsigned, value: u16, count: Unsigned) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::Legacy, || unsafe { real(pointer, value, count) })
    }
    "waits for its turn" fn cuMemsetD2D16_v2(pointer: CUdeviceptr, pitch: usize, value: u16, width: usize, height: usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::Legacy, || unsafe { real(pointer, pitch, value, width, height) })
    }
    "waits for its turn" fn cuMemsetD2D16_v2_ptds(pointer: CUdeviceptr, pitch: usize, value: u16, width: usize, height: usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::PerThread, || unsafe { real(pointer, pitch, value, width, height) })
    }
    "waits for its turn" fn cuMemsetD2D16Async(pointer: CUdeviceptr, pitch: usize, value: u16, width: usize, height: usize, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::legacy(stream), || unsafe { real(pointer, pitch, value, width, height, stream) })
    }
    "waits for its turn" fn cuMemsetD2D16Async_ptsz(pointer: CUdeviceptr, pitch: usize, value: u16, width: usize, height: usize, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::per_thread(stream), || unsafe { real(pointer, pitch, value, width, height, stream) })
    }
    "waits for its turn; its addresses have 32 bits" fn cuMemsetD2D16(pointer: Unsigned, pitch: Unsigned, value: u16, width: Unsigned, height: Unsigned) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::Legacy, || unsafe { real(pointer, pitch, value, width, height) })
    }
    "waits for its turn" fn cuMemsetD32_v2(pointer: CUdeviceptr, value: Unsigned, count: usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::Legacy, || unsafe { real(pointer, value, count) })
    }
    "waits for its turn" fn cuMemsetD32_v2_ptds(pointer: CUdeviceptr, value: Unsigned, count: usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::PerThread, || unsafe { real(pointer, value, count) })
    }
    "waits for its turn" fn cuMemsetD32Async(pointer: CUdeviceptr, value: Unsigned, count: usize, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::legacy(stream), || unsafe { real(pointer, value, count, stream) })
    }
    "waits for its turn" fn cuMemsetD32Async_ptsz(pointer: CUdeviceptr, value: Unsigned, count: usize, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::per_thread(stream), || unsafe { real(pointer, value, count, stream) })
    }
    "waits for its turn; its addresses have 32 bits" fn cuMemsetD32(pointer: Unsigned, value: Unsigned, count: Unsigned) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::Legacy, || unsafe { real(pointer, value, count) })
    }
    "waits for its turn" fn cuMemsetD2D32_v2(pointer: CUdeviceptr, pitch: usize, value: Unsigned, width: usize, height: usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::Legacy, || unsafe { real(pointer, pitch, value, width, height) })
    }
    "waits for its turn" fn cuMemsetD2D32_v2_ptds(pointer: CUdeviceptr, pitch: usize, value: Unsigned, width: usize, height: usize) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::PerThread, || unsafe { real(pointer, pitch, value, width, height) })
    }
    "waits for its turn" fn cuMemsetD2D32Async(pointer: CUdeviceptr, pitch: usize, value: Unsigned, width: usize, height: usize, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::legacy(stream), || unsafe { real(pointer, pitch, value, width, height, stream) })
    }
    "waits for its turn" fn cuMemsetD2D32Async_ptsz(pointer: CUdeviceptr, pitch: usize, value: Unsigned, width: usize, height: usize, stream: CUstream) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::per_thread(stream), || unsafe { real(pointer, pitch, value, width, height, stream) })
    }
    "waits for its turn; its addresses have 32 bits" fn cuMemsetD2D32(pointer: Unsigned, pitch: Unsigned, value: Unsigned, width: Unsigned, height: Unsigned) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        compute::launch(Stream::Legacy, || unsafe { real(pointer, pitch, value, width, height) })
    }
}
