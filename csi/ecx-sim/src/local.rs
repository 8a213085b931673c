//! The simulator without sockets and threads: a request is a function call, and time is that of the caller's runtime,
//! which may be paused. With that, the same calls give the same run again.
//!
//! A client's process can die in the midst of it: its runtime ends, and with it everything that waits. What it had sent
//! is the cloud's then: the requests that have not been carried out are carried out under the next runtime.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use ecx::transport::{Exchange, Incoming, NoReply, Outgoing, Transport};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::clock::Clock;
use crate::cloud::Cloud;
use crate::config::Config;
use crate::http::{self, Received};
use crate::request_log::LogEntry;
use crate::shared::{Shared, StartError};

/// Requests under way, in the order in which they were sent.
type Flights = Mutex<BTreeMap<u64, Received>>;

/// A simulated cloud in the caller's runtime.
pub struct Local {
    cloud: Cloud,
    flights: Arc<Flights>,
}

impl Local {
    /// The cloud at its birth; its time stands until [`Self::begin`].
    pub fn new(config: Config) -> Result<Self, StartError> {
        config.check()?;
        let shared = Arc::new(Shared::new(config, Clock::followed())?);
        Ok(Self { cloud: Cloud { shared }, flights: Arc::default() })
    }

    /// Follows the runtime of the caller, and carries on what was under way.
    pub fn begin(&self) {
        self.cloud.shared.clock.follow();
        let left = std::mem::take(&mut *self.flights.lock());
        for (number, request) in left {
            let request = Received { survived: true, ..request };
            self.flights.lock().insert(number, request.clone());
            tokio::spawn(carried(Arc::clone(&self.cloud.shared), Arc::clone(&self.flights), number, request));
        }
    }

    /// The runtime ends. Of the requests that are not carried out yet `arrives` says which the cloud has got.
    pub fn end(&self, mut arrives: impl FnMut() -> bool) {
        self.cloud.shared.clock.stand();
        self.flights.lock().retain(|_, request| !request.acted.load(Ordering::SeqCst) && arrives());
    }

    /// A way here for a client that waits so long for a reply; its chance comes from `seed`.
    pub fn transport(&self, seed: u64, timeout: Duration) -> Arc<dyn Transport> {
        let (shared, flights) = (Arc::clone(&self.cloud.shared), Arc::clone(&self.flights));
        Arc::new(LocalTransport { shared, flights, timeout, chance: Mutex::new(StdRng::seed_from_u64(seed)) })
    }

    /// What time it is in the cloud, in epoch milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.cloud.shared.clock.now_ms()
    }

    /// Every request from the `first` on.
    pub fn log_from(&self, first: usize) -> Vec<LogEntry> {
        self.cloud.shared.log.entries_from(first)
    }
}

impl Deref for Local {
    type Target = Cloud;

    fn deref(&self) -> &Cloud {
        &self.cloud
    }
}

/// Carries a request out; from the moment at which that has happened it is not under way any more.
async fn carried(
    shared: Arc<Shared>,
    flights: Arc<Flights>,
    number: u64,
    request: Received,
) -> axum::response::Response {
    let response = http::carry_out(shared, request).await;
    flights.lock().remove(&number);
    response
}

struct LocalTransport {
    shared: Arc<Shared>,
    flights: Arc<Flights>,
    timeout: Duration,
    chance: Mutex<StdRng>,
}

impl LocalTransport {
    fn send(&self, request: Outgoing) -> Result<tokio::task::JoinHandle<axum::response::Response>, String> {
        let uri = Uri::from_str(&request.url).map_err(|e| e.to_string())?;
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers {
            let name = HeaderName::from_str(name).map_err(|e| e.to_string())?;
            headers.insert(name, HeaderValue::try_from(value).map_err(|e| e.to_string())?);
        }
        let method = if request.body.is_some() { Method::POST } else { Method::GET };
        let body = Bytes::from(request.body.unwrap_or_default());
        let acted = Arc::new(AtomicBool::new(false));
        let received = Received { method, uri, headers, body, acted, survived: false };
        let number = {
            let mut flights = self.flights.lock();
            let number = flights.last_key_value().map_or(0, |(last, _)| last + 1);
            flights.insert(number, received.clone());
            number
        };
        let (shared, flights) = (Arc::clone(&self.shared), Arc::clone(&self.flights));
        Ok(tokio::spawn(carried(shared, flights, number, received)))
    }

    async fn receive(&self, request: Outgoing) -> Result<Incoming, NoReply> {
        let connection = |message: String| NoReply { code: "connection", message };
        let under_way = self.send(request).map_err(connection)?;
        let response = under_way.await.map_err(|e| connection(e.to_string()))?;
        let (http, retry_after) = (response.status().as_u16(), response.headers().get(header::RETRY_AFTER));
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = to_bytes(response.into_body(), usize::MAX).await;
        Ok(Incoming { http, retry_after, body: body.map_err(|e| connection(e.to_string()))?.into() })
    }
}

impl Transport for LocalTransport {
    fn exchange(&self, request: Outgoing) -> Exchange<'_> {
        Box::pin(async move {
            let ended = tokio::time::timeout(self.timeout, self.receive(request)).await;
            ended.unwrap_or_else(|late| Err(NoReply { code: "timeout", message: late.to_string() }))
        })
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.shared.clock.now_ms())
    }

    fn random(&self) -> u128 {
        self.chance.lock().random()
    }
}
