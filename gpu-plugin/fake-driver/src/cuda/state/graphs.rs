//! Graphs: a sum of device time and of memory, which is all that the card sees of them.

use std::collections::HashMap;

use crate::cuda::abi::{BLOCK, CudaError, CudaResult};
use crate::cuda::card::Card;

/// A graph, executable or not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Graph {
    /// Device time of its kernels, in ns.
    pub(crate) time: u64,
    /// Bytes that its nodes allocate, in whole blocks.
    pub(crate) bytes: u64,
}

/// The graphs of this process, by handle.
#[derive(Debug, Default)]
pub(crate) struct Graphs(HashMap<usize, Graph>);

impl Graphs {
    pub(crate) fn create(&mut self, handle: usize) {
        self.0.insert(handle, Graph::default());
    }

    pub(crate) fn get(&self, handle: usize) -> Result<Graph, CudaError> {
        self.0.get(&handle).copied().ok_or(CudaError::INVALID_HANDLE)
    }

    pub(crate) fn destroy(&mut self, handle: usize) -> CudaResult {
        self.0.remove(&handle).map(drop).ok_or(CudaError::INVALID_HANDLE)
    }

    pub(crate) fn add_kernel(&mut self, handle: usize, time: u64) -> CudaResult {
        self.0.get_mut(&handle).ok_or(CudaError::INVALID_HANDLE)?.time += time;
        Ok(())
    }

    pub(crate) fn add_allocation(&mut self, handle: usize, bytes: u64) -> CudaResult {
        let graph = self.0.get_mut(&handle).ok_or(CudaError::INVALID_HANDLE)?;
        graph.bytes += bytes.next_multiple_of(BLOCK);
        Ok(())
    }

    /// An executable graph takes its memory at once, and until it is destroyed.
    pub(crate) fn instantiate(&mut self, card: &Card, graph: usize, executable: usize) -> CudaResult {
        let it = self.get(graph)?;
        card.reserve(it.bytes)?;
        self.0.insert(executable, it);
        Ok(())
    }

    pub(crate) fn destroy_executable(&mut self, card: &Card, executable: usize) -> CudaResult {
        let it = self.0.remove(&executable).ok_or(CudaError::INVALID_HANDLE)?;
        card.release(it.bytes);
        Ok(())
    }
}
