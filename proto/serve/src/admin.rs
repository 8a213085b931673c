//! The admin port: `/livez`, `/readyz` and `/metrics`, one request a connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::RwLock;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::metrics::Metrics;

/// Longest request head that is read, in bytes, and hyper's least; probes and scrapes send a few hundred.
const MAX_HEAD: usize = 8192;

/// How long a client may take for its request and for the reply.
const PATIENCE: Duration = Duration::from_secs(5);

const TEXT: HeaderValue = HeaderValue::from_static("text/plain");
const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Whether a program is ready, and if not, why. Clones share one state.
#[derive(Clone)]
pub struct Ready(Arc<RwLock<Result<(), String>>>);

impl Ready {
    /// Starts as not ready, for `reason`.
    pub fn not_yet(reason: impl Into<String>) -> Self {
        Self(Arc::new(RwLock::new(Err(reason.into()))))
    }

    /// Sets the state; `Err` holds the reason that `/readyz` shows.
    pub fn set(&self, state: Result<(), String>) {
        *self.0.write() = state;
    }

    /// Whether the program is ready.
    pub fn is_ready(&self) -> bool {
        self.state().is_ok()
    }

    fn state(&self) -> Result<(), String> {
        self.0.read().clone()
    }
}

/// Serves the admin port on `address` in a task of its own until `token` fires; gives the address that was bound.
pub async fn serve(
    address: SocketAddr,
    metrics: Metrics,
    ready: Ready,
    token: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    info!(%bound, "Admin port: /livez /readyz /metrics");
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                () = token.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = stream else { continue };
            let (metrics, ready) = (metrics.clone(), ready.clone());
            tokio::spawn(async move {
                let answered = tokio::time::timeout(PATIENCE, connection(stream, &metrics, &ready)).await;
                debug!(?answered, "Admin request");
            });
        }
    });
    Ok(bound)
}

async fn connection(stream: TcpStream, metrics: &Metrics, ready: &Ready) -> hyper::Result<()> {
    let service = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(respond(request.method(), request.uri().path(), metrics, ready))
    });
    http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn respond(method: &Method, path: &str, metrics: &Metrics, ready: &Ready) -> Response<String> {
    let (status, kind, body) = match (method, path) {
        (&Method::GET, "/livez" | "/healthz") => (StatusCode::OK, TEXT, "ok\n".to_owned()),
        (&Method::GET, "/readyz") => match ready.state() {
            Ok(()) => (StatusCode::OK, TEXT, "ok\n".to_owned()),
            Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready: {reason}\n")),
        },
        (&Method::GET, "/metrics") => match metrics.encode() {
            Ok(text) => (StatusCode::OK, OPENMETRICS, text),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
        },
        (&Method::GET, _) => {
            (StatusCode::NOT_FOUND, TEXT, "there are /livez, /readyz and /metrics\n".to_owned())
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".to_owned()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn get(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        reply
    }

    #[tokio::test]
    async fn readiness_has_a_reason_and_metrics_are_text() {
        let (ready, token) = (Ready::not_yet("the cloud has not answered"), CancellationToken::new());
        let bound =
            serve("127.0.0.1:0".parse().unwrap(), Metrics::default(), ready.clone(), token).await.unwrap();
        let reply = get(bound, "GET /readyz HTTP/1.1\r\n\r\n").await;
        assert!(reply.starts_with("HTTP/1.1 503") && reply.contains("the cloud has not answered"), "{reply}");
        ready.set(Ok(()));
        assert!(get(bound, "GET /readyz HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 200"));
        // A client of HTTP/1.0 is answered in its version.
        assert!(get(bound, "GET /livez HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 200"));
        assert!(get(bound, "GET /metrics HTTP/1.1\r\n\r\n").await.contains("# EOF"));
        assert!(get(bound, "GET /x HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 404"));
        assert!(get(bound, "POST /livez HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 405"));
    }

    #[tokio::test]
    async fn a_head_that_is_too_long_is_refused() {
        let token = CancellationToken::new();
        let ready = Ready::not_yet("");
        let bound = serve("127.0.0.1:0".parse().unwrap(), Metrics::default(), ready, token).await.unwrap();
        let reply = get(bound, &format!("GET /livez HTTP/1.1\r\nx: {}\r\n", "x".repeat(MAX_HEAD))).await;
        assert!(reply.starts_with("HTTP/1.1 431"), "{reply}");
    }
}
