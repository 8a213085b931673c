//! Graphs.

use std::ffi::{c_int, c_uint, c_void};

use crate::cuda::abi::{call, read_from, write_to};
use crate::cuda::process::process;

#[unsafe(no_mangle)]
extern "C" fn cuGraphCreate(graph: *mut usize, _flags: c_uint) -> c_uint {
    call(|| {
        let mut process = process();
        let handle = process.new_handle();
        process.graphs.create(handle);
        write_to(graph, handle)
    })
}

/// The node's parameters, as far as they are read: its bytes are the fourteenth number.
#[unsafe(no_mangle)]
extern "C" fn cuGraphAddMemAllocNode(
    node: *mut usize,
    graph: usize,
    _after: *const usize,
    _count: usize,
    parameters: *mut [u64; 15],
) -> c_uint {
    call(|| {
        let bytes = read_from(parameters)?[13];
        let mut process = process();
        process.graphs.add_allocation(graph, bytes)?;
        write_to(node, process.new_handle())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphInstantiateWithFlags(executable: *mut usize, graph: usize, _flags: u64) -> c_uint {
    call(|| {
        let mut process = process();
        let (_, device) = process.current()?;
        let handle = process.new_handle();
        process.graphs.instantiate(&device.card, graph, handle)?;
        write_to(executable, handle)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphExecDestroy(executable: usize) -> c_uint {
    call(|| {
        let mut process = process();
        let (_, device) = process.current()?;
        process.graphs.destroy_executable(&device.card, executable)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphDestroy(graph: usize) -> c_uint {
    call(|| process().graphs.destroy(graph))
}

/// Nothing is kept for the next graph.
#[unsafe(no_mangle)]
extern "C" fn cuDeviceGraphMemTrim(number: c_int) -> c_uint {
    call(|| process().device(number).map(drop))
}

/// `CU_GRAPH_MEM_ATTR_…`: what executable graphs have taken cannot be told apart here.
#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetGraphMemAttribute(_number: c_int, _attribute: c_uint, value: *mut c_void) -> c_uint {
    call(|| write_to(value.cast::<u64>(), 0))
}
