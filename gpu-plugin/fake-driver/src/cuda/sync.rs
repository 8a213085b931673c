//! Events and synchronisation, where streams, captures and pools have to do with each other.

use super::abi::{CudaError, CudaResult};
use super::moment::Moment;
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
            self.streams.record(event, stream);
            self.has_happened(event, now)?;
        }
        Ok(())
    }

    /// When an event happens. One that was recorded into a graph does not.
    pub(crate) fn event_moment(&self, event: usize) -> Result<Moment, CudaError> {
        match self.captures.graph_of_event(event) {
            Some(_) => Err(CudaError::CAPTURED_EVENT),
            None => self.streams.event(event).map(|event| event.moment),
        }
    }

    /// Whether an event has happened.
    pub(crate) fn has_happened(&mut self, event: usize, now: u64) -> Result<bool, CudaError> {
        let moment = self.event_moment(event)?;
        let happened = self.is_reached(moment, now);
        if happened {
            self.streams.saw(event, now);
        }
        Ok(happened)
    }

    /// When an event was seen to have happened, in ns.
    pub(crate) fn event_time(&mut self, event: usize, now: u64) -> Result<u64, CudaError> {
        self.has_happened(event, now)?;
        self.streams.event(event)?.seen.ok_or(CudaError::NOT_READY)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::abi::BLOCK;
    use crate::cuda::testing::Machine;

    const STREAM: StreamKey = StreamKey::Created(10);
    const OTHER: StreamKey = StreamKey::Created(20);
    const EVENT: usize = 30;
    const GRAPH: usize = 40;

    #[test]
    fn an_event_of_a_captured_stream_does_not_happen() {
        let mut process = Process::default();
        process.streams.create_event(EVENT);
        process.captures.begin(STREAM, GRAPH).unwrap();
        process.record_event(EVENT, STREAM, 0).unwrap();
        assert_eq!(process.event_time(EVENT, 0), Err(CudaError::CAPTURED_EVENT));
    }

    #[test]
    fn an_event_that_is_recorded_again_outside_of_a_capture_happens() {
        let mut process = Process::default();
        process.streams.create_event(EVENT);
        process.captures.begin(STREAM, GRAPH).unwrap();
        process.record_event(EVENT, STREAM, 0).unwrap();
        process.record_event(EVENT, OTHER, 50).unwrap();
        assert_eq!(process.event_time(EVENT, 70), Ok(50));
    }

    #[test]
    fn waiting_for_an_event_of_a_capture_captures_the_stream() {
        let mut process = Process::default();
        process.streams.create_event(EVENT);
        process.captures.begin(STREAM, GRAPH).unwrap();
        process.record_event(EVENT, STREAM, 0).unwrap();
        process.wait_event(OTHER, EVENT).unwrap();
        assert_eq!(process.captures.graph_of(OTHER), Some(GRAPH));
    }

    #[test]
    fn an_event_that_was_not_created_is_not_recorded() {
        let mut process = Process::default();
        assert_eq!(process.record_event(EVENT, STREAM, 0), Err(CudaError::INVALID_HANDLE));
    }

    #[test]
    fn a_synchronisation_gives_back_what_pools_need_not_keep() {
        let mut process = Machine::new().running(4);
        let card = &process.devices[0].card;
        process.pools.add(1, 0, false);
        let at = process.pools.get(1).unwrap().allocate(card, BLOCK).unwrap();
        process.free_of_pool(at).unwrap();
        process.synchronized();
        assert_eq!(card.used(), 0);
    }
}
