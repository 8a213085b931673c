//! What traces tell of operations: a span each, the child of the RPC that started it. An RPC that joins it or waits for it has a link to it.

use serve::traces::{self, TARGET};
use tonic::Status;
use tracing::field::Empty;
use tracing::{Span, trace_span};

/// The id of the volume that an RPC is about.
pub(super) const VOLUME_ID: &str = "csi.volume_id";

/// The span of an operation that begins, a child of the current one.
pub(super) fn of(name: &'static str) -> Span {
    trace_span!(
        target: TARGET,
        "operation",
        otel.name = name,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// What the span is about.
pub(super) fn about(span: &Span, attribute: &'static str, value: &str) {
    traces::attribute(span, attribute, value);
}

/// The operation has ended, with this error if any.
pub(super) fn ended(span: &Span, error: Option<&Status>) {
    if let Some(status) = error {
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", status.message());
    }
    traces::end(span);
}
