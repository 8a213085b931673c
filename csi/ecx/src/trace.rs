//! A span for each request, retries included, which whoever collects the target `trace` gets. What it tells is chosen here: of a request
//! its region and disk, never a header or the whole body.

use std::time::Duration;

use serde_json::{Map, Value};
use tracing::field::Empty;
use tracing::{Span, trace_span};

use crate::api::Op;
use crate::error::Error;

/// The span of a request that has waited so long for its turn.
pub(crate) fn of(op: Op, attempt: u32, waited: Duration) -> Span {
    let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
    trace_span!(
        target: "trace",
        "cloud call",
        otel.name = ?op,
        otel.kind = "client",
        otel.status_code = Empty,
        ecx.op = ?op,
        ecx.attempt = attempt,
        ecx.waited_ms = waited_ms,
        ecx.region = Empty,
        ecx.disk_id = Empty,
        ecx.request_id = Empty,
        ecx.code = Empty,
        http.response.status_code = Empty,
    )
}

/// What the current request is about.
pub(crate) fn about(fields: &Map<String, Value>) {
    let span = Span::current();
    for (attribute, field) in [("ecx.region", "regionID"), ("ecx.disk_id", "diskID")] {
        if let Some(text) = fields.get(field).and_then(Value::as_str) {
            span.record(attribute, text);
        }
    }
}

/// It is sent under this id, by which the cloud's support finds it.
pub(crate) fn sent(request_id: &str) {
    Span::current().record("ecx.request_id", request_id);
}

/// A reply has come.
pub(crate) fn replied(http: u16) {
    Span::current().record("http.response.status_code", http);
}

/// What it came to, in the words of the metric's label.
pub(crate) fn ended<T>(result: &Result<T, Error>) {
    let span = Span::current();
    span.record("ecx.code", result.as_ref().map_or_else(Error::code, |_| "ok"));
    // A disk that is not there and an order that runs are answers.
    if result.as_ref().is_err_and(|error| !matches!(error, Error::DiskNotFound(_) | Error::InProgress(_))) {
        span.record("otel.status_code", "ERROR");
    }
}
