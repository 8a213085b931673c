//! Capture: work of a stream that goes into a graph and not to the card.

use std::collections::HashMap;

use super::streams::Key;
use crate::cuda::abi::{Done, Fault};

/// A stream that is being captured.
#[derive(Debug)]
struct Capture {
    stream: Key,
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
    pub(crate) fn graph_of(&self, stream: Key) -> Option<usize> {
        self.find(stream).map(|capture| capture.graph)
    }

    pub(crate) fn status(&self, stream: Key) -> Status {
        match self.find(stream) {
            None => Status::None,
            Some(capture) if capture.invalidated => Status::Invalidated,
            Some(_) => Status::Active,
        }
    }

    fn find(&self, stream: Key) -> Option<&Capture> {
        self.captures.iter().find(|capture| capture.stream == stream)
    }

    pub(crate) fn begin(&mut self, stream: Key, graph: usize) -> Done {
        if matches!(stream, Key::Legacy(_)) || self.find(stream).is_some() {
            return Err(Fault::CAPTURE_UNSUPPORTED);
        }
        self.captures.push(Capture { stream, graph, first: true, invalidated: false });
        Ok(())
    }

    /// Ends a capture: its graph, or none if it was spoilt.
    pub(crate) fn end(&mut self, stream: Key) -> Result<Option<usize>, Fault> {
        let at = self.captures.iter().position(|capture| capture.stream == stream);
        let at = at.ok_or(Fault::INVALID_VALUE)?;
        if !self.captures[at].first {
            return Err(Fault::CAPTURE_UNMATCHED);
        }
        let capture = self.captures.remove(at);
        self.captures.retain(|other| other.graph != capture.graph);
        self.events.retain(|_, graph| *graph != capture.graph);
        Ok((!capture.invalidated).then_some(capture.graph))
    }

    /// A call that waits is not allowed while anything is captured, and spoils all captures.
    pub(crate) fn refuse_wait(&mut self) -> Done {
        for capture in &mut self.captures {
            capture.invalidated = true;
        }
        if self.captures.is_empty() { Ok(()) } else { Err(Fault::CAPTURE_UNSUPPORTED) }
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
    pub(crate) fn join(&mut self, stream: Key, graph: usize) -> Done {
        match self.graph_of(stream) {
            Some(own) if own == graph => Ok(()),
            Some(_) => Err(Fault::CAPTURE_MERGE),
            None => {
                self.captures.push(Capture { stream, graph, first: false, invalidated: false });
                Ok(())
            }
        }
    }
}
