//! Memory that graphs allocate when they run. Until a graph is made executable it costs nothing; from then on everything that
//! its nodes allocate counts, until the executable graph is destroyed.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

/// `CUgraph`, opaque.
pub(crate) type Graph = usize;

/// Bytes that the nodes of each graph allocate, in whole blocks. A node that is destroyed alone still counts.
static GRAPHS: LazyLock<Mutex<HashMap<Graph, u64>>> = LazyLock::new(Mutex::default);

fn with<R>(work: impl FnOnce(&mut HashMap<Graph, u64>) -> R) -> R {
    work(&mut GRAPHS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A node of a graph allocates so much.
pub(crate) fn add(graph: Graph, bytes: u64) {
    with(|graphs| {
        let sum = graphs.entry(graph).or_insert(0);
        *sum = sum.saturating_add(bytes);
    });
}

/// What a graph allocates, in bytes.
pub(crate) fn bytes(graph: Graph) -> u64 {
    with(|graphs| graphs.get(&graph).copied().unwrap_or(0))
}

/// A graph has what another has as well: a clone of it, or a graph that holds it as a child.
pub(crate) fn add_all_of(graph: Graph, other: Graph) {
    let bytes = bytes(other);
    if bytes > 0 {
        add(graph, bytes);
    }
}

/// A graph is no more. What was made executable of it goes on.
pub(crate) fn forget(graph: Graph) {
    with(|graphs| graphs.remove(&graph));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_counts_what_its_nodes_and_children_allocate() {
        add(1, 10);
        add(1, 5);
        add_all_of(2, 1);
        add_all_of(2, 3);
        forget(1);
        assert_eq!((bytes(1), bytes(2), bytes(3)), (0, 15, 0));
    }
}
