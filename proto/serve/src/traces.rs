//! Traces: a span around each RPC, and where spans go. Whoever makes spans does so with `tracing` and the target [`TARGET`]; that they
//! become OpenTelemetry's is known here alone, and only in a build with the feature `traces`. In others they cost a comparison.

use http::HeaderMap;
use tonic::{Code, Status};
use tracing::field::Empty;
use tracing::{Span, trace_span};

#[cfg(feature = "traces")]
mod otlp;

#[cfg(feature = "traces")]
pub(crate) use otlp::{Exporter, NoTraces};

/// The target of every span that belongs to a trace, and of nothing else.
pub const TARGET: &str = "trace";

/// Says of a span something of which only whoever is served knows the name.
pub fn attribute(span: &Span, name: &'static str, value: &str) {
    #[cfg(feature = "traces")]
    otlp::attribute(span, name, value);
    #[cfg(not(feature = "traces"))]
    let _ = (span, name, value);
}

/// The span ends now. Otherwise it would do so with the last of its children, which may go on for others.
pub fn end(span: &Span) {
    #[cfg(feature = "traces")]
    otlp::end(span);
    #[cfg(not(feature = "traces"))]
    let _ = span;
}

/// The span of an RPC: a child of the caller's, if the caller tells of one as W3C's `traceparent`.
pub(crate) fn rpc(method: &str, headers: &HeaderMap) -> Span {
    let span = trace_span!(
        target: TARGET,
        "rpc",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = Empty,
        otel.status_description = Empty,
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = Empty,
    );
    #[cfg(feature = "traces")]
    otlp::follow_caller(&span, headers);
    #[cfg(not(feature = "traces"))]
    let _ = headers;
    span
}

/// How an RPC has ended, in the words of the metric's label.
pub(crate) fn rpc_ended(span: &Span, code: Code) {
    span.record("rpc.response.status_code", tracing::field::debug(code));
    if code != Code::Ok {
        span.record("otel.status_code", "ERROR");
    }
    end(span);
}

/// Why an RPC has failed.
pub(crate) fn rpc_failed(span: &Span, status: &Status) {
    span.record("otel.status_description", status.message());
}
