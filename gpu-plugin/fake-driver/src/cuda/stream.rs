//! Streams and events: what waits for what, in time.

use std::collections::{HashMap, VecDeque};
use std::ffi::{c_int, c_uint};

use super::abi::{Done, Fault, call, put};
use super::process::{Process, current, current_handle, now, process, wait_until};

/// Launches that a process makes without waiting. NVIDIA documents none; with its driver a thousand is what is commonly seen.
const QUEUE: usize = 1024;

/// A stream as a call means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// The one of the context that everything waits for.
    Legacy(usize),
    /// A thread's own.
    Thread(std::thread::ThreadId),
    /// One that was created.
    Created(usize),
}

impl Key {
    /// What a handle means in a function of the first kind: 1 and 2 are `CU_STREAM_LEGACY` and `CU_STREAM_PER_THREAD`.
    pub(crate) fn legacy(handle: usize) -> Self {
        match handle {
            0 | 1 => Self::Legacy(current_handle()),
            2 => Self::Thread(std::thread::current().id()),
            _ => Self::Created(handle),
        }
    }

    /// The same in a function whose name ends in `_ptsz`.
    pub(crate) fn per_thread(handle: usize) -> Self {
        if handle == 0 { Self::Thread(std::thread::current().id()) } else { Self::legacy(handle) }
    }
}

/// When each stream has done its work, and when each event has happened; ns of `CLOCK_MONOTONIC`.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    ends: HashMap<Key, u64>,
    /// Created streams, by handle: whether they wait for the legacy one.
    created: HashMap<usize, bool>,
    events: HashMap<usize, u64>,
    /// When what was given to the card last is done.
    queue: VecDeque<u64>,
    /// Events that were recorded into a graph, by handle.
    pub(crate) captured: HashMap<usize, usize>,
}

/// A capture that goes on.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(crate) stream: Key,
    pub(crate) graph: usize,
    /// The stream that the capture began with, and with which it ends.
    pub(crate) first: bool,
    pub(crate) broken: bool,
}

impl Streams {
    /// When work that is given to a stream now may begin.
    pub(crate) fn after(&self, stream: Key) -> u64 {
        let own = self.ends.get(&stream).copied().unwrap_or(0);
        match stream {
            Key::Legacy(_) => self.ends.values().copied().max().unwrap_or(0),
            Key::Created(handle) if self.created.get(&handle) == Some(&false) => own,
            _ => own.max(self.ends.get(&Key::Legacy(current_handle())).copied().unwrap_or(0)),
        }
    }

    pub(crate) fn ends_at(&mut self, stream: Key, end: u64) {
        self.ends.insert(stream, end);
    }

    /// Puts work that ends then into the queue; until when its caller has to wait for a place in it.
    pub(crate) fn queued(&mut self, end: u64) -> u64 {
        self.queue.push_back(end);
        if self.queue.len() > QUEUE { self.queue.pop_front().unwrap_or(0) } else { 0 }
    }

    fn last(&self) -> u64 {
        self.ends.values().copied().max().unwrap_or(0)
    }

    fn known(&self, stream: Key) -> Done {
        match stream {
            Key::Created(handle) if !self.created.contains_key(&handle) => Err(Fault::INVALID_HANDLE),
            _ => Ok(()),
        }
    }
}

impl Process {
    /// The graph that a stream is captured into.
    pub(crate) fn captured(&self, stream: Key) -> Option<usize> {
        self.captures.iter().find(|capture| capture.stream == stream).map(|capture| capture.graph)
    }

    /// A stream that waits for an event of a capture is captured with it.
    fn joins(&mut self, stream: Key, graph: usize) -> Done {
        match self.captured(stream) {
            Some(own) if own == graph => Ok(()),
            Some(_) => Err(Fault::CAPTURE_MERGE),
            None => {
                self.captures.push(Capture { stream, graph, first: false, broken: false });
                Ok(())
            }
        }
    }

    /// Adds an allocation to what is captured; whether it was.
    pub(crate) fn capture_allocates(&mut self, stream: Key, bytes: u64) -> Result<bool, Fault> {
        let Some(graph) = self.captured(stream) else { return Ok(false) };
        self.graphs.entry(graph).or_default().1 += bytes.next_multiple_of(super::memory::BLOCK);
        Ok(true)
    }

    /// A call that waits breaks what this process captures.
    fn breaks_captures(&mut self) -> Done {
        for capture in &mut self.captures {
            capture.broken = true;
        }
        if self.captures.is_empty() { Ok(()) } else { Err(Fault::CAPTURE_UNSUPPORTED) }
    }
}

/// Waits for everything of this process. Its other threads call meanwhile, so nobody holds the lock for it.
pub(crate) fn wait_all() {
    let end = process().streams.last();
    wait_until(end);
}

fn synchronize(end: impl FnOnce(&Process) -> Result<u64, Fault>) -> c_uint {
    call(|| {
        let mut locked = process();
        current(&locked)?;
        locked.breaks_captures()?;
        let end = end(&locked)?;
        drop(locked);
        wait_until(end);
        let mut locked = process();
        current(&locked)?;
        locked.settle_pools();
        Ok(())
    })
}

fn query(stream: Key) -> c_uint {
    call(|| {
        let process = process();
        current(&process)?;
        process.streams.known(stream)?;
        if process.captured(stream).is_some() {
            return Err(Fault::CAPTURE_UNSUPPORTED);
        }
        if process.streams.after(stream) <= now() { Ok(()) } else { Err(Fault::NOT_READY) }
    })
}

fn synchronize_stream(stream: Key) -> c_uint {
    synchronize(|process| {
        process.streams.known(stream)?;
        Ok(process.streams.after(stream))
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamSynchronize(stream: usize) -> c_uint {
    synchronize_stream(Key::legacy(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamSynchronize_ptsz(stream: usize) -> c_uint {
    synchronize_stream(Key::per_thread(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSynchronize() -> c_uint {
    synchronize(|process| Ok(process.streams.last()))
}

/// What a context has in flight is not told apart from what the process has.
#[unsafe(no_mangle)]
extern "C" fn cuCtxSynchronize_v2(_context: usize) -> c_uint {
    cuCtxSynchronize()
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamQuery(stream: usize) -> c_uint {
    query(Key::legacy(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamQuery_ptsz(stream: usize) -> c_uint {
    query(Key::per_thread(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamCreate(stream: *mut usize, flags: c_uint) -> c_uint {
    call(|| {
        let mut process = process();
        current(&process)?;
        let handle = process.handle();
        process.streams.created.insert(handle, flags & 1 == 0);
        put(stream, handle)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamCreateWithPriority(stream: *mut usize, flags: c_uint, _priority: c_int) -> c_uint {
    cuStreamCreate(stream, flags)
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamDestroy_v2(stream: usize) -> c_uint {
    call(|| process().streams.created.remove(&stream).map(drop).ok_or(Fault::INVALID_HANDLE))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamWaitEvent(stream: usize, event: usize, _flags: c_uint) -> c_uint {
    wait_event(Key::legacy(stream), event)
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamWaitEvent_ptsz(stream: usize, event: usize, _flags: c_uint) -> c_uint {
    wait_event(Key::per_thread(stream), event)
}

fn wait_event(stream: Key, event: usize) -> c_uint {
    call(|| {
        let mut process = process();
        if let Some(graph) = process.streams.captured.get(&event).copied() {
            return process.joins(stream, graph);
        }
        let at = *process.streams.events.get(&event).ok_or(Fault::INVALID_HANDLE)?;
        let end = process.streams.after(stream).max(at);
        process.streams.ends_at(stream, end);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventCreate(event: *mut usize, _flags: c_uint) -> c_uint {
    call(|| {
        let mut process = process();
        let handle = process.handle();
        process.streams.events.insert(handle, 0);
        put(event, handle)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventRecord(event: usize, stream: usize) -> c_uint {
    record(event, Key::legacy(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuEventRecord_ptsz(event: usize, stream: usize) -> c_uint {
    record(event, Key::per_thread(stream))
}

fn record(event: usize, stream: Key) -> c_uint {
    call(|| {
        let mut process = process();
        if !process.streams.events.contains_key(&event) {
            return Err(Fault::INVALID_HANDLE);
        }
        if let Some(graph) = process.captured(stream) {
            process.streams.captured.insert(event, graph);
            return Ok(());
        }
        process.streams.captured.remove(&event);
        let at = process.streams.after(stream).max(now());
        process.streams.events.insert(event, at);
        Ok(())
    })
}

fn happens(process: &Process, event: usize) -> Result<u64, Fault> {
    if process.streams.captured.contains_key(&event) {
        return Err(Fault::CAPTURED_EVENT);
    }
    process.streams.events.get(&event).copied().ok_or(Fault::INVALID_HANDLE)
}

#[unsafe(no_mangle)]
extern "C" fn cuEventQuery(event: usize) -> c_uint {
    call(|| if happens(&process(), event)? <= now() { Ok(()) } else { Err(Fault::NOT_READY) })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventSynchronize(event: usize) -> c_uint {
    synchronize(|process| happens(process, event))
}

#[unsafe(no_mangle)]
extern "C" fn cuEventElapsedTime_v2(milliseconds: *mut f32, from: usize, to: usize) -> c_uint {
    cuEventElapsedTime(milliseconds, from, to)
}

#[unsafe(no_mangle)]
extern "C" fn cuEventElapsedTime(milliseconds: *mut f32, from: usize, to: usize) -> c_uint {
    call(|| {
        let process = process();
        let (from, to) = (happens(&process, from)?, happens(&process, to)?);
        put(milliseconds, (to as f64 - from as f64) as f32 / 1e6)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventDestroy_v2(event: usize) -> c_uint {
    call(|| {
        let mut process = process();
        process.streams.captured.remove(&event);
        process.streams.events.remove(&event).map(drop).ok_or(Fault::INVALID_HANDLE)
    })
}
