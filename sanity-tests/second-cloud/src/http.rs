//! The cloud over HTTP/1.1 on loopback, in a time that runs faster than ours: what a client makes of broken connections, halves of a body
//! and headers is its own HTTP code then, and not a test's.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::cloud::Cloud;
use crate::world::Millis;

/// The connection ends without a reply.
#[derive(Debug, thiserror::Error)]
#[error("the connection breaks")]
struct Breaks;

/// The time of the cloud, which began with this.
#[derive(Debug, Clone, Copy)]
struct Clock {
    began: Instant,
    /// Seconds of the cloud's in one of ours.
    speed: u32,
}

impl Clock {
    fn now(self) -> Millis {
        Millis::try_from((self.began.elapsed() * self.speed).as_millis()).unwrap_or(Millis::MAX)
    }
}

/// A cloud that is served until this is dropped.
#[derive(Debug)]
pub struct Served {
    url: String,
    clock: Clock,
    serving: JoinHandle<()>,
}

impl Served {
    /// Serves the cloud on a port of its own. Each of our seconds is `speed` of the cloud's.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn start(cloud: Arc<Cloud>, speed: u32) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let clock = Clock { began: Instant::now(), speed };
        Ok(Self { url, clock, serving: tokio::spawn(serve(listener, cloud, clock)) })
    }

    /// Scheme, host and port.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The cloud's time.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, cloud: Arc<Cloud>, clock: Clock) {
    // They end with this.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let cloud = Arc::clone(&cloud);
        let service = service_fn(move |request| answer(Arc::clone(&cloud), clock, request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move { connection.await.is_ok() });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    cloud: Arc<Cloud>,
    clock: Clock,
    request: Request<Incoming>,
) -> Result<Response<Body>, Breaks> {
    let (head, body) = request.into_parts();
    let body = to_bytes(Body::new(body), usize::MAX).await.map_err(|_| Breaks)?;
    let headers: Vec<(&str, &str)> =
        head.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let reply = cloud.answer(head.method.as_str(), target, &headers, &body, clock.now());
    tokio::time::sleep(Duration::from_millis(reply.delay) / clock.speed).await;
    if reply.lost {
        return Err(Breaks);
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body)).map_err(|_| Breaks)
}
