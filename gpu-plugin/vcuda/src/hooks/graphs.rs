//! Graphs that allocate: charged when they are made executable, since then nobody asks again.

use std::ffi::{c_char, c_int, c_void};

use crate::abi::{CUDA_ERROR_NOT_FOUND, CUDA_SUCCESS, CUdevice, CUdeviceptr, CUresult, Unsigned};
use crate::cards;
use crate::driver::{DriverFunction, Library};
use crate::hook::{check, hooks};
use crate::memory::allocations::{self, AllocationCharge, PendingFree, Placement};
use crate::memory::graphs::{self, Graph};
use crate::memory::whole_blocks;

/// `CUDA_MEM_ALLOC_NODE_PARAMS_v2`, which the first version has the form of.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CUDA_MEM_ALLOC_NODE_PARAMS {
    /// `CUmemPoolProps`: 88 bytes.
    pool: [u64; 11],
    access: *const c_void,
    access_count: usize,
    bytes: usize,
    address: CUdeviceptr,
}

/// `CUgraphNodeParams`: its kind, and what nodes that allocate have there.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CUgraphNodeParams {
    kind: Unsigned,
    charge: [c_int; 3],
    allocates: CUDA_MEM_ALLOC_NODE_PARAMS,
}

/// `CU_GRAPH_NODE_TYPE_MEM_ALLOC`
const ALLOCATES: Unsigned = 10;

hooks! { Cuda, CUDA_ERROR_NOT_FOUND;
    "counted, and charged with its graph" fn cuGraphAddMemAllocNode(node: *mut usize, graph: Graph, after: *const usize, count: usize, parameters: *mut CUDA_MEM_ALLOC_NODE_PARAMS) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(node, graph, after, count, parameters) };
        if result == CUDA_SUCCESS {
            // SAFETY: the driver has succeeded, so they are there.
            allocates(graph, unsafe { (*parameters).bytes });
        }
        result
    }
    "counted if it allocates, and charged with its graph" fn cuGraphAddNode(node: *mut usize, graph: Graph, after: *const usize, count: usize, parameters: *mut CUgraphNodeParams) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(node, graph, after, count, parameters) };
        added(graph, parameters, result)
    }
    "counted if it allocates, and charged with its graph" fn cuGraphAddNode_v2(node: *mut usize, graph: Graph, after: *const usize, edges: *const c_void, count: usize, parameters: *mut CUgraphNodeParams) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(node, graph, after, edges, count, parameters) };
        added(graph, parameters, result)
    }
    "counted if it allocates, and charged with its graph" fn cuGraphAddNode_v3(node: *mut usize, graph: Graph, after: *const usize, edges: *const c_void, count: usize, parameters: *mut CUgraphNodeParams) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(node, graph, after, edges, count, parameters) };
        added(graph, parameters, result)
    }
    "what it allocates counts in its parent" fn cuGraphAddChildGraphNode(node: *mut usize, graph: Graph, after: *const usize, count: usize, child: Graph) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(node, graph, after, count, child) };
        if result == CUDA_SUCCESS {
            graphs::add_all_of(graph, child);
        }
        result
    }
    "allocates as much" fn cuGraphClone(clone: *mut Graph, graph: Graph) -> CUresult |real| {
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(clone, graph) };
        if result == CUDA_SUCCESS {
            // SAFETY: the driver has succeeded, so it has written the handle there.
            graphs::add_all_of(unsafe { clone.read() }, graph);
        }
        result
    }
    "forgotten" fn cuGraphDestroy(graph: Graph) -> CUresult |real| {
        // Before: its handle may be given to another at once.
        let bytes = graphs::bytes(graph);
        graphs::forget(graph);
        // SAFETY: the caller's own arguments.
        let result = unsafe { real(graph) };
        if result != CUDA_SUCCESS && bytes > 0 {
            graphs::add(graph, bytes);
        }
        result
    }
    "charged with what it allocates" fn cuGraphInstantiate(made: *mut u64, graph: Graph, node: *mut usize, log: *mut c_char, size: usize) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        instantiate(made, graph, || unsafe { real(made, graph, node, log, size) })
    }
    "charged with what it allocates" fn cuGraphInstantiate_v2(made: *mut u64, graph: Graph, node: *mut usize, log: *mut c_char, size: usize) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        instantiate(made, graph, || unsafe { real(made, graph, node, log, size) })
    }
    "charged with what it allocates" fn cuGraphInstantiateWithFlags(made: *mut u64, graph: Graph, flags: u64) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        instantiate(made, graph, || unsafe { real(made, graph, flags) })
    }
    "charged with what it allocates" fn cuGraphInstantiateWithParams(made: *mut u64, graph: Graph, parameters: *mut c_void) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        instantiate(made, graph, || unsafe { real(made, graph, parameters) })
    }
    "charged with what it allocates" fn cuGraphInstantiateWithParams_ptsz(made: *mut u64, graph: Graph, parameters: *mut c_void) -> CUresult |real| try {
        // SAFETY: the caller's own arguments.
        instantiate(made, graph, || unsafe { real(made, graph, parameters) })
    }
    "given back" fn cuGraphExecDestroy(made: u64) -> CUresult |real| try {
        let known = allocations::contains(made);
        let free = PendingFree::new(made);
        // SAFETY: the caller's own arguments.
        check(unsafe { real(made) })?;
        if known {
            trim();
        }
        free.settle();
        Ok(())
    }
}

fn allocates(graph: Graph, bytes: usize) {
    graphs::add(graph, whole_blocks(bytes as u64).unwrap_or(u64::MAX));
}

fn added(graph: Graph, parameters: *mut CUgraphNodeParams, result: CUresult) -> CUresult {
    if result == CUDA_SUCCESS {
        // SAFETY: the driver has succeeded, so they are there; by cuda.h they are larger than what is read of them.
        let (kind, bytes) = unsafe { ((*parameters).kind, (*parameters).allocates.bytes) };
        if kind == ALLOCATES {
            allocates(graph, bytes);
        }
    }
    result
}

fn instantiate(made: *mut u64, graph: Graph, real: impl FnOnce() -> CUresult) -> Result<(), CUresult> {
    let cost = graphs::bytes(graph);
    if cost == 0 {
        return check(real());
    }
    let charge = AllocationCharge::new(cost)?;
    check(real())?;
    // SAFETY: the driver has succeeded, so it has written the handle there.
    charge.settle(unsafe { made.read() }, Placement::Whole);
    Ok(())
}

/// Makes the driver give back the memory that it keeps for the next graph.
fn trim() {
    static TRIM: DriverFunction<unsafe extern "C" fn(CUdevice) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuDeviceGraphMemTrim");
    let Ok(device) = cards::current_device() else { return };
    // SAFETY: the signature is cuda.h's.
    if let Some(trim) = unsafe { TRIM.get() } {
        // SAFETY: a device of this process.
        unsafe { trim(device) };
    }
}

/// A stream that is captured allocates in the graph that becomes of it: whether it is so.
pub(super) fn captured(stream: usize, per_thread: bool, bytes: u64) -> bool {
    type Info = unsafe extern "C" fn(
        usize,
        *mut Unsigned,
        *mut u64,
        *mut Graph,
        *mut *const usize,
        *mut usize,
    ) -> CUresult;
    static INFO: DriverFunction<Info> = DriverFunction::new(Library::Cuda, c"cuStreamGetCaptureInfo_v2");
    static PER_THREAD: DriverFunction<Info> =
        DriverFunction::new(Library::Cuda, c"cuStreamGetCaptureInfo_v2_ptsz");
    /// `CU_STREAM_CAPTURE_STATUS_ACTIVE`
    const ACTIVE: Unsigned = 1;
    let (mut status, mut id, mut graph, mut count) = (0, 0, 0, 0);
    let mut after = std::ptr::null();
    let which = if per_thread { &PER_THREAD } else { &INFO };
    // SAFETY: the signature is cuda.h's.
    let Some(info) = (unsafe { which.get() }) else { return false };
    // SAFETY: the stream is the caller's own, and what it writes to is on this stack.
    let result =
        unsafe { info(stream, &raw mut status, &raw mut id, &raw mut graph, &raw mut after, &raw mut count) };
    let active = result == CUDA_SUCCESS && status == ACTIVE;
    if active {
        graphs::add(graph, whole_blocks(bytes).unwrap_or(u64::MAX));
    }
    active
}
