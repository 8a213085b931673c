//! The admin port: `/livez`, `/readyz` and `/metrics` over HTTP/1.0-style one-shot connections.
//!
//! Three fixed paths need no HTTP stack: the request line is read within a bound and a deadline, the reply closes the
//! connection. This keeps the node program small.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::metrics::Metrics;

/// Longest request head that is read, in bytes; probes and scrapes send a few hundred.
const MAX_HEAD: usize = 8192;

/// How long a client may take for its request.
const PATIENCE: Duration = Duration::from_secs(5);

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
                let answered = tokio::time::timeout(PATIENCE, answer(stream, &metrics, &ready)).await;
                debug!(?answered, "Admin request");
            });
        }
    });
    Ok(bound)
}

async fn answer(mut stream: TcpStream, metrics: &Metrics, ready: &Ready) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(512);
    while !head.windows(4).any(|w| w == b"\r\n\r\n") && head.len() < MAX_HEAD {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&head);
    let mut words = text.split_whitespace();
    let (status, kind, body) = match (words.next(), words.next().map(|p| p.split('?').next().unwrap_or(p))) {
        (Some("GET"), Some("/livez" | "/healthz")) => ("200 OK", "text/plain", "ok\n".to_owned()),
        (Some("GET"), Some("/readyz")) => match ready.state() {
            Ok(()) => ("200 OK", "text/plain", "ok\n".to_owned()),
            Err(reason) => ("503 Service Unavailable", "text/plain", format!("not ready: {reason}\n")),
        },
        (Some("GET"), Some("/metrics")) => match metrics.encode() {
            Ok(text) => ("200 OK", "application/openmetrics-text; version=1.0.0; charset=utf-8", text),
            Err(e) => ("500 Internal Server Error", "text/plain", format!("{e}\n")),
        },
        (Some("GET"), _) => {
            ("404 Not Found", "text/plain", "there are /livez, /readyz and /metrics\n".to_owned())
        }
        _ => ("405 Method Not Allowed", "text/plain", "only GET\n".to_owned()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
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
        assert!(get(bound, "GET /livez HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.1 200"));
        assert!(get(bound, "GET /metrics HTTP/1.1\r\n\r\n").await.contains("# EOF"));
        assert!(get(bound, "GET /x HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 404"));
        assert!(get(bound, "POST /livez HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 405"));
    }
}
