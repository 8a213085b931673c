//! Streams and events: what waits for what, in time.

use std::collections::{HashMap, VecDeque};

use crate::cuda::abi::{CudaError, CudaResult};
use crate::cuda::current::current_handle;
use crate::cuda::moment::Moment;

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

/// An event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// When it happens.
    pub(crate) moment: Moment,
    /// When it was seen to have happened, in ns of `CLOCK_MONOTONIC`.
    pub(crate) seen: Option<u64>,
}

/// When each stream has done its work, and when each event happens.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    ends: HashMap<StreamKey, Moment>,
    /// Created streams, by handle: whether they wait for the legacy one.
    created: HashMap<usize, bool>,
    events: HashMap<usize, Event>,
    /// When what was given to the card last is done.
    queue: VecDeque<Moment>,
}

impl Streams {
    pub(crate) fn create(&mut self, handle: usize, waits_for_legacy: bool) {
        self.created.insert(handle, waits_for_legacy);
    }

    pub(crate) fn destroy(&mut self, handle: usize) -> CudaResult {
        self.created.remove(&handle).map(drop).ok_or(CudaError::INVALID_HANDLE)
    }

    /// When work that is given to a stream now may begin.
    pub(crate) fn after(&self, stream: StreamKey) -> Moment {
        let own = self.ends.get(&stream).copied().unwrap_or_default();
        match stream {
            StreamKey::Legacy(_) => self.last_end(),
            StreamKey::Created(handle) if self.created.get(&handle) == Some(&false) => own,
            _ => own.and(self.ends.get(&StreamKey::Legacy(current_handle())).copied().unwrap_or_default()),
        }
    }

    pub(crate) fn ends_at(&mut self, stream: StreamKey, end: Moment) {
        self.ends.insert(stream, end);
    }

    /// Puts work that ends then into the queue; until when its caller has to wait for a place in it.
    pub(crate) fn enqueue(&mut self, end: Moment) -> Moment {
        self.queue.push_back(end);
        let full = self.queue.len() > QUEUE;
        full.then(|| self.queue.pop_front()).flatten().unwrap_or_default()
    }

    /// When all work of this process is done.
    pub(crate) fn last_end(&self) -> Moment {
        self.ends.values().copied().fold(Moment::default(), Moment::and)
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
        self.events.insert(handle, Event::default());
    }

    pub(crate) fn destroy_event(&mut self, handle: usize) -> CudaResult {
        self.events.remove(&handle).map(drop).ok_or(CudaError::INVALID_HANDLE)
    }

    /// An event.
    pub(crate) fn event(&self, handle: usize) -> Result<Event, CudaError> {
        self.events.get(&handle).copied().ok_or(CudaError::INVALID_HANDLE)
    }

    /// The event happens when the stream has done what it has now.
    pub(crate) fn record(&mut self, event: usize, stream: StreamKey) {
        self.events.insert(event, Event { moment: self.after(stream), seen: None });
    }

    /// The event was seen to have happened.
    pub(crate) fn saw(&mut self, event: usize, now: u64) {
        if let Some(event) = self.events.get_mut(&event) {
            event.seen.get_or_insert(now);
        }
    }

    /// Later work of the stream begins after the event.
    pub(crate) fn wait_event(&mut self, stream: StreamKey, event: usize) -> CudaResult {
        let end = self.after(stream).and(self.event(event)?.moment);
        self.ends_at(stream, end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::current::set_current;

    /// Streams that were created, by handle.
    const BLOCKING: StreamKey = StreamKey::Created(10);
    const NON_BLOCKING: StreamKey = StreamKey::Created(20);
    const EVENT: usize = 30;

    fn at(work: u64) -> Moment {
        Moment::of(0, work)
    }

    /// Two created streams and an event, in a context; and the context's legacy stream.
    fn streams() -> (Streams, StreamKey) {
        set_current(1);
        let mut streams = Streams::default();
        streams.create(10, true);
        streams.create(20, false);
        streams.create_event(EVENT);
        (streams, StreamKey::legacy(0))
    }

    #[test]
    fn work_of_one_stream_is_done_in_order() {
        let (mut streams, _) = streams();
        streams.ends_at(BLOCKING, at(100));
        assert_eq!(streams.after(BLOCKING), at(100));
    }

    #[test]
    fn streams_that_were_created_do_not_wait_for_each_other() {
        let (mut streams, _) = streams();
        streams.ends_at(BLOCKING, at(100));
        assert_eq!(streams.after(NON_BLOCKING), at(0));
    }

    #[test]
    fn the_legacy_stream_waits_for_all() {
        let (mut streams, legacy) = streams();
        streams.ends_at(BLOCKING, at(100));
        streams.ends_at(NON_BLOCKING, at(200));
        assert_eq!(streams.after(legacy), at(200));
    }

    #[test]
    fn all_but_non_blocking_streams_wait_for_the_legacy_stream() {
        let (mut streams, legacy) = streams();
        streams.ends_at(legacy, at(100));
        let per_thread = StreamKey::per_thread(0);
        assert_eq!([BLOCKING, per_thread, NON_BLOCKING].map(|key| streams.after(key)), [100, 100, 0].map(at));
    }

    #[test]
    fn a_handle_means_a_default_stream_or_one_that_was_created() {
        set_current(1);
        let own = StreamKey::Thread(std::thread::current().id());
        assert_eq!(
            [0, 1, 2, 10].map(StreamKey::legacy),
            [StreamKey::Legacy(1), StreamKey::Legacy(1), own, BLOCKING]
        );
        assert_eq!([0, 1, 2, 10].map(StreamKey::per_thread), [own, StreamKey::Legacy(1), own, BLOCKING]);
    }

    #[test]
    fn the_stream_of_another_thread_is_another() {
        let other = std::thread::spawn(|| StreamKey::per_thread(0)).join().unwrap();
        assert_ne!(other, StreamKey::per_thread(0));
    }

    #[test]
    fn a_stream_is_known_from_its_creation_to_its_destruction() {
        let (mut streams, legacy) = streams();
        assert_eq!((streams.check(BLOCKING), streams.check(legacy)), (Ok(()), Ok(())));
        streams.destroy(10).unwrap();
        assert_eq!(streams.check(BLOCKING), Err(CudaError::INVALID_HANDLE));
        assert_eq!(streams.destroy(10), Err(CudaError::INVALID_HANDLE));
    }

    #[test]
    fn an_event_happens_when_what_was_launched_before_it_is_done() {
        let (mut streams, _) = streams();
        streams.ends_at(BLOCKING, at(100));
        streams.record(EVENT, BLOCKING);
        streams.ends_at(BLOCKING, at(500));
        assert_eq!(streams.event(EVENT).unwrap().moment, at(100));
    }

    #[test]
    fn an_event_has_happened_when_it_was_first_seen_to_have() {
        let (mut streams, _) = streams();
        streams.record(EVENT, BLOCKING);
        streams.saw(EVENT, 300);
        streams.saw(EVENT, 400);
        assert_eq!(streams.event(EVENT).unwrap().seen, Some(300));
    }

    #[test]
    fn a_stream_waits_for_an_event_of_another() {
        let (mut streams, _) = streams();
        streams.ends_at(BLOCKING, at(100));
        streams.record(EVENT, BLOCKING);
        streams.wait_event(NON_BLOCKING, EVENT).unwrap();
        assert_eq!(streams.after(NON_BLOCKING), at(100));
    }

    #[test]
    fn an_event_that_was_destroyed_is_unknown() {
        let (mut streams, _) = streams();
        streams.destroy_event(EVENT).unwrap();
        assert_eq!(streams.wait_event(BLOCKING, EVENT), Err(CudaError::INVALID_HANDLE));
    }

    #[test]
    fn a_full_queue_makes_the_launch_wait_for_the_oldest() {
        let (mut streams, _) = streams();
        assert!((0..QUEUE as u64).all(|number| streams.enqueue(at(1_000 + number)) == Moment::default()));
        assert_eq!([9, 9].map(|end| streams.enqueue(at(end))), [1_000, 1_001].map(at));
    }
}
