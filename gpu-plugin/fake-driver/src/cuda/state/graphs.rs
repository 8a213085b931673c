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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::testing::Machine;

    const GRAPH: usize = 1;
    const EXECUTABLE: usize = 2;

    #[test]
    fn a_graph_takes_memory_from_its_instantiation_to_the_end_of_the_executable() {
        let (card, mut graphs) = (Machine::new().card(4), Graphs::default());
        graphs.create(GRAPH);
        graphs.add_allocation(GRAPH, BLOCK + 1).unwrap();
        assert_eq!(card.used(), 0);
        graphs.instantiate(&card, GRAPH, EXECUTABLE).unwrap();
        assert_eq!(card.used(), 2 * BLOCK);
        graphs.destroy(GRAPH).unwrap();
        assert_eq!(card.used(), 2 * BLOCK);
        graphs.destroy_executable(&card, EXECUTABLE).unwrap();
        assert_eq!(card.used(), 0);
    }

    #[test]
    fn a_graph_that_the_card_has_no_room_for_is_not_instantiated() {
        let (card, mut graphs) = (Machine::new().card(1), Graphs::default());
        graphs.create(GRAPH);
        graphs.add_allocation(GRAPH, 2 * BLOCK).unwrap();
        assert_eq!(graphs.instantiate(&card, GRAPH, EXECUTABLE), Err(CudaError::OUT_OF_MEMORY));
        assert_eq!(graphs.get(EXECUTABLE).err(), Some(CudaError::INVALID_HANDLE));
    }

    #[test]
    fn a_graph_takes_the_time_of_its_kernels() {
        let mut graphs = Graphs::default();
        graphs.create(GRAPH);
        graphs.add_kernel(GRAPH, 30).unwrap();
        graphs.add_kernel(GRAPH, 12).unwrap();
        assert_eq!(graphs.get(GRAPH).map(|graph| graph.time), Ok(42));
    }
}
