//! Streams and events: what waits for what, in time.

use std::collections::{HashMap, VecDeque};

use crate::cuda::abi::{CudaError, CudaResult};
use crate::cuda::current::current_handle;

/// Launches that a process makes without waiting. NVIDIA documents none; with its driver a thousand is what is commonly seen.
pub(crate) const QUEUE: usize = 1024;

/// A stream as a call means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StreamKey {
    /// The one of the context that everything waits for.
    Legacy(usize),
    /// A thread's own.
    Thread(std::thread::ThreadId),
    /// One that was created.
    Created(usize),
}

impl StreamKey {
    /// What a handle means in a function of the first kind: 1 and 2 are `CU_STREAM_LEGACY` and `CU_STREAM_PER_THREAD`.
    pub(crate) fn legacy(handle: usize) -> Self {
        match handle {
            0 | 1 => Self::Legacy(current_handle()),
            2 => Self::Thread(std::thread::current().id()),
            _ => Self::Created(handle),
        }
    }

    /// The same in a function whose name ends in `_ptsz` or `_ptds`.
    pub(crate) fn per_thread(handle: usize) -> Self {
        if handle == 0 { Self::Thread(std::thread::current().id()) } else { Self::legacy(handle) }
    }
}

/// When each stream has done its work, and when each event has happened; ns of `CLOCK_MONOTONIC`.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    ends: HashMap<StreamKey, u64>,
    /// Created streams, by handle: whether they wait for the legacy one.
    created: HashMap<usize, bool>,
    events: HashMap<usize, u64>,
    /// When what was given to the card last is done.
    queue: VecDeque<u64>,
}

impl Streams {
    pub(crate) fn create(&mut self, handle: usize, waits_for_legacy: bool) {
        self.created.insert(handle, waits_for_legacy);
    }

    pub(crate) fn destroy(&mut self, handle: usize) -> CudaResult {
        self.created.remove(&handle).map(drop).ok_or(CudaError::INVALID_HANDLE)
    }

    /// When work that is given to a stream now may begin.
    pub(crate) fn after(&self, stream: StreamKey) -> u64 {
        let own = self.ends.get(&stream).copied().unwrap_or(0);
        match stream {
            StreamKey::Legacy(_) => self.last_end(),
            StreamKey::Created(handle) if self.created.get(&handle) == Some(&false) => own,
            _ => own.max(self.ends.get(&StreamKey::Legacy(current_handle())).copied().unwrap_or(0)),
        }
    }

    pub(crate) fn ends_at(&mut self, stream: StreamKey, end: u64) {
        self.ends.insert(stream, end);
    }

    /// Puts work that ends then into the queue; until when its caller has to wait for a place in it.
    pub(crate) fn enqueue(&mut self, end: u64) -> u64 {
        self.queue.push_back(end);
        if self.queue.len() > QUEUE { self.queue.pop_front().unwrap_or(0) } else { 0 }
    }

    /// When all work of this process is done.
    pub(crate) fn last_end(&self) -> u64 {
        self.ends.values().copied().max().unwrap_or(0)
    }

    /// Refuses a handle that is no stream's.
    pub(crate) fn check(&self, stream: StreamKey) -> CudaResult {
        match stream {
            StreamKey::Created(handle) if !self.created.contains_key(&handle) => {
                Err(CudaError::INVALID_HANDLE)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn create_event(&mut self, handle: usize) {
        self.events.insert(handle, 0);
    }

    pub(crate) fn destroy_event(&mut self, handle: usize) -> CudaResult {
        self.events.remove(&handle).map(drop).ok_or(CudaError::INVALID_HANDLE)
    }

    /// When an event happens.
    pub(crate) fn event(&self, handle: usize) -> Result<u64, CudaError> {
        self.events.get(&handle).copied().ok_or(CudaError::INVALID_HANDLE)
    }

    /// The event happens when the stream has done what it has now.
    pub(crate) fn record(&mut self, event: usize, stream: StreamKey, now: u64) {
        let at = self.after(stream).max(now);
        self.events.insert(event, at);
    }

    /// Later work of the stream begins after the event.
    pub(crate) fn wait_event(&mut self, stream: StreamKey, event: usize) -> CudaResult {
        let end = self.after(stream).max(self.event(event)?);
        self.ends_at(stream, end);
        Ok(())
    }
}
