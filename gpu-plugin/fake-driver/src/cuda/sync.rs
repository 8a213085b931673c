//! Events and synchronisation, where streams, captures and pools have to do with each other.

use super::abi::{CudaError, CudaResult};
use super::process::Process;
use super::state::streams::StreamKey;

impl Process {
    /// The event happens when the stream has done what it has now; on a stream that is captured, in the graph.
    pub(crate) fn record_event(&mut self, event: usize, stream: StreamKey, now: u64) -> CudaResult {
        self.streams.event(event)?;
        if let Some(graph) = self.captures.graph_of(stream) {
            self.captures.record(event, graph);
        } else {
            self.captures.forget_event(event);
            self.streams.record(event, stream, now);
        }
        Ok(())
    }

    /// When an event happens. One that was recorded into a graph does not.
    pub(crate) fn event_time(&self, event: usize) -> Result<u64, CudaError> {
        match self.captures.graph_of_event(event) {
            Some(_) => Err(CudaError::CAPTURED_EVENT),
            None => self.streams.event(event),
        }
    }

    /// Later work of the stream begins after the event; a stream that waits for an event of a capture is captured with it.
    pub(crate) fn wait_event(&mut self, stream: StreamKey, event: usize) -> CudaResult {
        match self.captures.graph_of_event(event) {
            Some(graph) => self.captures.join(stream, graph),
            None => self.streams.wait_event(stream, event),
        }
    }

    /// A program has waited for the card: pools give back what they need not keep.
    pub(crate) fn synchronized(&mut self) {
        let devices = self.devices;
        self.pools.synchronized(|device| &devices[device].card);
    }
}
