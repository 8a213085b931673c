//! What a client needs of the world around it: a way to the cloud, the time of day, and chance. Programs have
//! [`HttpTransport`]; a simulation brings its own, so that a seed gives the same run again. Everything else of the client is
//! the same code.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use reqwest::header::RETRY_AFTER;

use crate::profile::Profile;

/// A signed request: a POST if it has a body, else a GET. Has no `Debug`: a header carries the signature.
pub struct Outgoing {
    /// Scheme, host, path and query.
    pub url: String,
    /// The exact bytes that were signed.
    pub body: Option<Vec<u8>>,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
}

/// A whole reply.
pub struct Incoming {
    /// HTTP status.
    pub http: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// All of the body.
    pub body: Vec<u8>,
}

/// There is no whole reply; whether the request was carried out is not known.
pub struct NoReply {
    /// `timeout` or `connection`.
    pub code: &'static str,
    /// Words.
    pub message: String,
}

/// An exchange under way.
pub type Exchange<'a> = Pin<Box<dyn Future<Output = Result<Incoming, NoReply>> + Send + 'a>>;

/// A way to the cloud, a clock and a source of chance.
pub trait Transport: Send + Sync {
    /// Sends a request and waits for the whole reply, at most the profile's `http_timeout_ms`.
    fn exchange(&self, request: Outgoing) -> Exchange<'_>;

    /// The time of day.
    fn now(&self) -> SystemTime;

    /// Random bits: of request ids and of the pauses between two attempts.
    fn random(&self) -> u128;
}

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be made")]
pub struct BadClient(#[from] reqwest::Error);

/// The real one: HTTP, this machine's clock, and its randomness.
pub(crate) struct HttpTransport(reqwest::Client);

impl HttpTransport {
    /// For the cloud of `profile`.
    pub(crate) fn new(profile: &Profile) -> Result<Self, BadClient> {
        let mut http = reqwest::Client::builder()
            .timeout(Duration::from_millis(profile.http_timeout_ms))
            .redirect(reqwest::redirect::Policy::none())
            .http1_only();
        if profile.base_url.starts_with("http://") {
            // The simulator: nobody's certificate is looked at, so the machine's trust store is not read for each
            // client.
            http = http.tls_certs_only([]);
        }
        Ok(Self(http.build()?))
    }

    async fn send(&self, request: Outgoing) -> Result<Incoming, reqwest::Error> {
        let mut sent = match request.body {
            Some(body) => self.0.post(request.url).body(body),
            None => self.0.get(request.url),
        };
        for (name, value) in request.headers {
            sent = sent.header(name, value);
        }
        let response = sent.send().await?;
        let header = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok());
        let (http, retry_after) = (response.status().as_u16(), header.map(str::to_owned));
        Ok(Incoming { http, retry_after, body: response.bytes().await?.into() })
    }
}

impl Transport for HttpTransport {
    fn exchange(&self, request: Outgoing) -> Exchange<'_> {
        // The URL holds no secret, but the chain is what tells the cause.
        let lost = |e: reqwest::Error| NoReply {
            code: if e.is_timeout() { "timeout" } else { "connection" },
            message: error_report::chain(&e),
        };
        Box::pin(async move { self.send(request).await.map_err(lost) })
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn random(&self) -> u128 {
        rand::random()
    }
}
