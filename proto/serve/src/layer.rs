//! The layer around each RPC: a span for the log and one for traces, one metric, one log line. Request bodies are never logged: they hold secrets.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument, Span, debug, info, info_span, warn};

use crate::metrics::Metrics;
use crate::traces;

/// Methods that the kubelet and the sidecars call all the time: their success is worth a debug line only.
const CHATTER: [&str; 8] = [
    "Probe",
    "GetPluginInfo",
    "GetPluginCapabilities",
    "ControllerGetCapabilities",
    "NodeGetCapabilities",
    "NodeGetVolumeStats",
    "GetCapacity",
    "ListVolumes",
];

/// Wraps every RPC of a server.
#[derive(Clone)]
pub struct RpcLayer {
    metrics: Metrics,
}

impl RpcLayer {
    /// RPCs are counted in `metrics`.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }
}

impl<S> Layer<S> for RpcLayer {
    type Service = RpcService<S>;

    fn layer(&self, inner: S) -> RpcService<S> {
        RpcService { inner, metrics: self.metrics.clone() }
    }
}

/// A service wrapped by [`RpcLayer`].
#[derive(Clone)]
pub struct RpcService<S> {
    inner: S,
    metrics: Metrics,
}

/// Counts an RPC's end also when its future is dropped because the client went away.
struct Running {
    metrics: Metrics,
    traced: Span,
    method: String,
    started: Instant,
    code: Code,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.metrics.ended(&self.method, self.code, self.started.elapsed());
        traces::rpc_ended(&self.traced, self.code);
    }
}

impl<S, Q, R> Service<http::Request<Q>> for RpcService<S>
where
    S: Service<http::Request<Q>, Response = http::Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    Q: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Q>) -> Self::Future {
        let method = request.uri().path().trim_start_matches('/').to_owned();
        let span = info_span!("rpc", method = %method);
        let traced = span.in_scope(|| traces::rpc(&method, request.headers()));
        self.metrics.started();
        let (metrics, started) = (self.metrics.clone(), Instant::now());
        // Dropped unanswered means cancelled: that is then the code.
        let mut running = Running { metrics, traced: traced.clone(), method, started, code: Code::Cancelled };
        let call = self.inner.call(request);
        let work = async move {
            let response = call.await?;
            // A unary reply that failed carries its status in the headers; one that succeeded in the trailers.
            let status = Status::from_header_map(response.headers());
            running.code = status.as_ref().map_or(Code::Ok, Status::code);
            log(&running, status.as_ref());
            Ok(response)
        };
        Box::pin(work.instrument(traced).instrument(span))
    }
}

fn log(rpc: &Running, status: Option<&Status>) {
    let ms = rpc.started.elapsed().as_millis();
    match status.filter(|s| s.code() != Code::Ok) {
        Some(status) => {
            traces::rpc_failed(&rpc.traced, status);
            warn!(ms, code = ?status.code(), "{}", status.message());
        }
        None if CHATTER.iter().any(|name| rpc.method.ends_with(name)) => debug!(ms, "Done"),
        None => info!(ms, "Done"),
    }
}
