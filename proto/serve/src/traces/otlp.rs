//! The one door of OpenTelemetry: spans are collected and sent by threads of their own, so that no RPC waits for a collector. What does
//! not fit into the queue of `OTEL_BSP_MAX_QUEUE_SIZE` spans is dropped.

use std::io;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

/// How long a program that ends waits for its last spans to be taken. A shutdown of which nothing is in flight is over in 5 s.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Why no spans can be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoTraces {
    /// Another kind of URL.
    #[error("the endpoint {0} is not allowed; allowed: http://HOST:PORT")]
    Endpoint(String),
    /// No thread, or no file descriptor.
    #[error("no thread for traces")]
    Thread(#[from] io::Error),
    /// The collector's address.
    #[error("no exporter of traces")]
    Exporter(#[from] ExporterBuildError),
}

/// Sends spans until it is dropped, and then those that are left.
pub(crate) struct Exporter {
    provider: SdkTracerProvider,
    /// Ends the thread of the connection when it is dropped.
    _connection: oneshot::Sender<()>,
}

impl Exporter {
    /// To the collector at `endpoint`; it need not be there yet.
    pub(crate) fn start(endpoint: &str, service: &str, version: &str) -> Result<Self, NoTraces> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let exporter = {
            let _inside = runtime.enter();
            SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?
        };
        let (connection, ended) = oneshot::channel();
        let serve = move || {
            let _ = runtime.block_on(ended);
        };
        std::thread::Builder::new().name("traces".into()).spawn(serve)?;
        let resource = Resource::builder()
            .with_service_name(service.to_owned())
            .with_attribute(KeyValue::new("service.version", version.to_owned()))
            .build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Self { provider, _connection: connection })
    }

    /// Takes the spans of this target, and no events: a trace is not a second log.
    pub(crate) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(
        &self,
        target: &'static str,
    ) -> impl Layer<S> + use<S> {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("eck"))
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(target, LevelFilter::TRACE))
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST_SPANS) {
            tracing::warn!(%error, "The last traces were not sent");
        }
    }
}

pub(super) fn attribute(span: &Span, name: &'static str, value: &str) {
    span.set_attribute(name, value.to_owned());
}

pub(super) fn end(span: &Span) {
    if !span.is_disabled() {
        span.context().span().end();
    }
}

pub(super) fn follow_caller(span: &Span, headers: &HeaderMap) {
    let caller = TraceContextPropagator::new().extract(&Headers(headers));
    // It fails where nobody takes spans.
    let _ = span.set_parent(caller);
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
