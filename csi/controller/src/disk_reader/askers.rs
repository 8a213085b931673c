//! Those who wait for one answer. In traces what is read for them is the first one's, and the others have a link to it.

use serve::traces::TARGET;
use tokio::sync::oneshot;
use tracing::{Span, trace_span};

use super::question::Answer;

/// Who asked the same.
#[derive(Default)]
pub(super) struct Askers(Vec<(oneshot::Sender<Answer>, Span)>);

impl Askers {
    /// One more, and the span in which was asked.
    pub(super) fn push(&mut self, reply: oneshot::Sender<Answer>, asking: Span) {
        self.0.push((reply, asking));
    }

    /// Tells all.
    pub(super) fn answer(self, answer: &Answer) {
        for (reply, _) in self.0 {
            let _ = reply.send(answer.clone());
        }
    }

    /// The span of a read for them.
    pub(super) fn span(&self) -> Span {
        span_for([self].into_iter())
    }
}

/// The span of a read for all of these.
pub(super) fn span_for<'a>(askers: impl Iterator<Item = &'a Askers>) -> Span {
    let mut asking = askers.flat_map(|askers| &askers.0).map(|(_, span)| span);
    let Some(first) = asking.next() else { return Span::none() };
    let read = trace_span!(target: TARGET, parent: first, "read");
    for other in asking {
        other.follows_from(&read);
    }
    read
}
