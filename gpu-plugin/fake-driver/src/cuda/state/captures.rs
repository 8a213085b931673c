//! Capture: work of a stream that goes into a graph and not to the card.

use std::collections::HashMap;

use super::streams::StreamKey;
use crate::cuda::abi::{CudaError, CudaResult};

/// A stream that is being captured.
#[derive(Debug)]
struct Capture {
    stream: StreamKey,
    graph: usize,
    /// The stream that the capture began with, and with which it ends.
    first: bool,
    /// A call that waits has spoilt it.
    invalidated: bool,
}

/// What a stream's capture is like: `CUstreamCaptureStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// The stream is not captured.
    None = 0,
    /// It is.
    Active = 1,
    /// It is, in vain.
    Invalidated = 2,
}

/// The captures of this process.
#[derive(Debug, Default)]
pub(crate) struct Captures {
    captures: Vec<Capture>,
    /// Events that were recorded into a graph: the graph, by the event's handle.
    events: HashMap<usize, usize>,
}

impl Captures {
    /// The graph that a stream is captured into.
    pub(crate) fn graph_of(&self, stream: StreamKey) -> Option<usize> {
        self.find(stream).map(|capture| capture.graph)
    }

    pub(crate) fn status(&self, stream: StreamKey) -> Status {
        match self.find(stream) {
            None => Status::None,
            Some(capture) if capture.invalidated => Status::Invalidated,
            Some(_) => Status::Active,
        }
    }

    fn find(&self, stream: StreamKey) -> Option<&Capture> {
        self.captures.iter().find(|capture| capture.stream == stream)
    }

    pub(crate) fn begin(&mut self, stream: StreamKey, graph: usize) -> CudaResult {
        if matches!(stream, StreamKey::Legacy(_)) || self.find(stream).is_some() {
            return Err(CudaError::CAPTURE_UNSUPPORTED);
        }
        self.captures.push(Capture { stream, graph, first: true, invalidated: false });
        Ok(())
    }

    /// Ends a capture: its graph, or none if it was spoilt.
    pub(crate) fn end(&mut self, stream: StreamKey) -> Result<Option<usize>, CudaError> {
        let at = self.captures.iter().position(|capture| capture.stream == stream);
        let at = at.ok_or(CudaError::INVALID_VALUE)?;
        if !self.captures[at].first {
            return Err(CudaError::CAPTURE_UNMATCHED);
        }
        let capture = self.captures.remove(at);
        self.captures.retain(|other| other.graph != capture.graph);
        self.events.retain(|_, graph| *graph != capture.graph);
        Ok((!capture.invalidated).then_some(capture.graph))
    }

    /// A call that waits is not allowed while anything is captured, and spoils all captures.
    pub(crate) fn refuse_wait(&mut self) -> CudaResult {
        for capture in &mut self.captures {
            capture.invalidated = true;
        }
        if self.captures.is_empty() { Ok(()) } else { Err(CudaError::CAPTURE_UNSUPPORTED) }
    }

    /// The graph that an event was recorded into.
    pub(crate) fn graph_of_event(&self, event: usize) -> Option<usize> {
        self.events.get(&event).copied()
    }

    pub(crate) fn record(&mut self, event: usize, graph: usize) {
        self.events.insert(event, graph);
    }

    pub(crate) fn forget_event(&mut self, event: usize) {
        self.events.remove(&event);
    }

    /// A stream that waits for an event of a capture is captured with it.
    pub(crate) fn join(&mut self, stream: StreamKey, graph: usize) -> CudaResult {
        match self.graph_of(stream) {
            Some(own) if own == graph => Ok(()),
            Some(_) => Err(CudaError::CAPTURE_MERGE),
            None => {
                self.captures.push(Capture { stream, graph, first: false, invalidated: false });
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamKey = StreamKey::Created(10);
    const OTHER: StreamKey = StreamKey::Created(20);
    const GRAPH: usize = 30;
    const EVENT: usize = 40;

    fn captures() -> Captures {
        let mut captures = Captures::default();
        captures.begin(STREAM, GRAPH).unwrap();
        captures
    }

    #[test]
    fn a_capture_ends_with_its_graph() {
        let mut captures = captures();
        assert_eq!((captures.status(STREAM), captures.status(OTHER)), (Status::Active, Status::None));
        assert_eq!(captures.end(STREAM), Ok(Some(GRAPH)));
        assert_eq!(captures.status(STREAM), Status::None);
    }

    #[test]
    fn a_stream_is_captured_once_at_a_time_and_the_legacy_stream_never() {
        let mut captures = captures();
        assert_eq!(captures.begin(STREAM, 31), Err(CudaError::CAPTURE_UNSUPPORTED));
        assert_eq!(captures.begin(StreamKey::Legacy(1), 31), Err(CudaError::CAPTURE_UNSUPPORTED));
    }

    #[test]
    fn a_call_that_waits_fails_and_spoils_the_capture() {
        let mut captures = captures();
        assert_eq!(captures.refuse_wait(), Err(CudaError::CAPTURE_UNSUPPORTED));
        assert_eq!(captures.status(STREAM), Status::Invalidated);
        assert_eq!(captures.end(STREAM), Ok(None));
        assert_eq!(captures.refuse_wait(), Ok(()), "nothing is captured any more");
    }

    #[test]
    fn a_stream_that_waits_for_an_event_of_a_capture_joins_it() {
        let mut captures = captures();
        captures.record(EVENT, GRAPH);
        captures.join(OTHER, captures.graph_of_event(EVENT).unwrap()).unwrap();
        assert_eq!(captures.graph_of(OTHER), Some(GRAPH));
        captures.end(STREAM).unwrap();
        assert_eq!((captures.graph_of(OTHER), captures.graph_of_event(EVENT)), (None, None));
    }

    #[test]
    fn a_capture_ends_on_the_stream_that_it_began_on() {
        let mut captures = captures();
        captures.join(OTHER, GRAPH).unwrap();
        assert_eq!(captures.end(OTHER), Err(CudaError::CAPTURE_UNMATCHED));
        assert_eq!(captures.end(StreamKey::Created(50)), Err(CudaError::INVALID_VALUE));
    }

    #[test]
    fn two_captures_do_not_merge() {
        let mut captures = captures();
        captures.begin(OTHER, 31).unwrap();
        assert_eq!(captures.join(OTHER, GRAPH), Err(CudaError::CAPTURE_MERGE));
    }
}
