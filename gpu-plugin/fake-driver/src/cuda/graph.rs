//! Graphs: a sum of device time and of memory, which is all that the card sees of them.

use std::ffi::{c_int, c_uint, c_void};

use super::abi::{Fault, call, get, put};
use super::memory::BLOCK;
use super::process::{current, device, process};
use super::stream::Key;

#[unsafe(no_mangle)]
extern "C" fn cuGraphCreate(graph: *mut usize, _flags: c_uint) -> c_uint {
    call(|| {
        let mut process = process();
        let handle = process.handle();
        process.graphs.insert(handle, (0, 0));
        put(graph, handle)
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
        let bytes = get(parameters)?[13];
        let mut process = process();
        let it = process.graphs.get_mut(&graph).ok_or(Fault::INVALID_HANDLE)?;
        it.1 += bytes.next_multiple_of(BLOCK);
        let handle = process.handle();
        put(node, handle)
    })
}

/// An executable graph takes its memory at once, and until it is destroyed.
#[unsafe(no_mangle)]
extern "C" fn cuGraphInstantiateWithFlags(made: *mut usize, graph: usize, _flags: u64) -> c_uint {
    call(|| {
        let mut process = process();
        let (_, device) = current(&process)?;
        let it = *process.graphs.get(&graph).ok_or(Fault::INVALID_HANDLE)?;
        device.card.reserve(it.1)?;
        let handle = process.handle();
        process.graphs.insert(handle, it);
        put(made, handle)
    })
}

fn launch(made: usize, stream: Key) -> c_uint {
    call(|| {
        let process = process();
        let (time, _) = *process.graphs.get(&made).ok_or(Fault::INVALID_HANDLE)?;
        super::launch::run(process, stream, time)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphLaunch(made: usize, stream: usize) -> c_uint {
    launch(made, Key::legacy(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphLaunch_ptsz(made: usize, stream: usize) -> c_uint {
    launch(made, Key::per_thread(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphExecDestroy(made: usize) -> c_uint {
    call(|| {
        let mut process = process();
        let (_, device) = current(&process)?;
        let (_, bytes) = process.graphs.remove(&made).ok_or(Fault::INVALID_HANDLE)?;
        device.card.release(bytes);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphDestroy(graph: usize) -> c_uint {
    call(|| process().graphs.remove(&graph).map(drop).ok_or(Fault::INVALID_HANDLE))
}

/// Nothing is kept for the next graph.
#[unsafe(no_mangle)]
extern "C" fn cuDeviceGraphMemTrim(number: c_int) -> c_uint {
    call(|| device(number).map(drop))
}

/// `CU_GRAPH_MEM_ATTR_…`: what executable graphs have taken cannot be told apart here.
#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetGraphMemAttribute(_number: c_int, _attribute: c_uint, value: *mut c_void) -> c_uint {
    call(|| put(value.cast::<u64>(), 0))
}
