//! What a client needs of the world around it: a way to the cloud, the time of day, and chance. Programs have
//! [`HttpTransport`]; a simulation brings its own, so that a seed gives the same run again. Everything else of the client is
//! the same code.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use reqwest::Certificate;
use reqwest::header::RETRY_AFTER;

use crate::profile::{BadSetting, Profile};

/// The longest body that is read, in bytes. A page of a hundred disks takes 100 kB; what is a hundred times that is no page, and a body
/// without an end would fill the memory within the time that one request has.
const LONGEST_BODY: usize = 16 << 20;

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
    /// `timeout`, `connection` or `too long`.
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
pub enum BadClient {
    /// A value of the profile.
    #[error("profile: {0}")]
    Setting(#[from] BadSetting),
    /// The file of `--cloud-ca-file`.
    #[error("--cloud-ca-file: cannot read {0}")]
    Read(PathBuf, #[source] io::Error),
    /// What should be certificates.
    #[error("{0} is not allowed as the cloud's authorities; allowed: certificates in PEM, at least one")]
    Authorities(String),
    /// HTTP or TLS.
    #[error("the HTTP client cannot be made")]
    Http(#[from] reqwest::Error),
}

/// What an operator says of the way to the cloud, beside the profile. Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`).
#[derive(Debug, Clone, Default)]
pub struct Connection {
    authorities: Vec<Certificate>,
    plain_http: bool,
}

impl Connection {
    /// Trusts the system's authorities. `http://` is taken only if `allow_plain_http`: replies are not signed, so that anybody on the way
    /// could say that a disk is gone.
    pub fn new(allow_plain_http: bool) -> Self {
        Self { authorities: Vec::new(), plain_http: allow_plain_http }
    }

    /// Trusts the authorities of `pem` too; `from` says in an error where they were found.
    pub fn trusting(self, pem: &[u8], from: &str) -> Result<Self, BadClient> {
        let none = || BadClient::Authorities(from.to_owned());
        let authorities = Certificate::from_pem_bundle(pem).map_err(|_| none())?;
        if authorities.is_empty() {
            return Err(none());
        }
        Ok(Self { authorities, ..self })
    }

    /// Trusts the authorities of a file too, if there is one.
    pub fn trusting_file(self, file: Option<&Path>) -> Result<Self, BadClient> {
        let Some(path) = file else { return Ok(self) };
        let pem = std::fs::read(path).map_err(|error| BadClient::Read(path.to_owned(), error))?;
        self.trusting(&pem, &path.display().to_string())
    }

    /// Whether `url` may be called.
    fn allows(&self, url: &str) -> Result<(), BadSetting> {
        if url.starts_with("https://") || self.plain_http {
            return Ok(());
        }
        let allowed =
            "an https:// URL; http:// only with --allow-plain-http (cloud.allowPlainHttp of the chart)";
        Err(BadSetting { field: "base_url", value: url.to_owned(), allowed })
    }
}

/// The real one: HTTP, this machine's clock, and its randomness.
pub(crate) struct HttpTransport(reqwest::Client);

impl HttpTransport {
    /// For the cloud of `profile`.
    pub(crate) fn new(profile: &Profile, connection: &Connection) -> Result<Self, BadClient> {
        profile.check()?;
        connection.allows(&profile.base_url)?;
        let mut http = reqwest::Client::builder()
            .timeout(Duration::from_millis(profile.http_timeout_ms))
            .redirect(reqwest::redirect::Policy::none())
            .http1_only();
        if profile.base_url.starts_with("http://") {
            // The simulator: nobody's certificate is looked at, so the machine's trust store is not read for each
            // client.
            http = http.tls_certs_only([]);
        } else if !connection.authorities.is_empty() {
            http = http.tls_certs_merge(connection.authorities.iter().cloned());
        }
        Ok(Self(http.build()?))
    }

    async fn send(&self, request: Outgoing) -> Result<Incoming, NoReply> {
        let mut sent = match request.body {
            Some(body) => self.0.post(request.url).body(body),
            None => self.0.get(request.url),
        };
        for (name, value) in request.headers {
            sent = sent.header(name, value);
        }
        let mut response = sent.send().await?;
        let header = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok());
        let (http, retry_after) = (response.status().as_u16(), header.map(str::to_owned));
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await? {
            if body.len() + piece.len() > LONGEST_BODY {
                let message = format!("HTTP {http} with a body of more than {LONGEST_BODY} bytes");
                return Err(NoReply { code: "too long", message });
            }
            body.extend_from_slice(&piece);
        }
        Ok(Incoming { http, retry_after, body })
    }
}

impl From<reqwest::Error> for NoReply {
    fn from(e: reqwest::Error) -> Self {
        let code = if e.is_timeout() { "timeout" } else { "connection" };
        // The URL holds no secret, but the chain is what tells the cause.
        Self { code, message: error_report::chain(&e) }
    }
}

impl Transport for HttpTransport {
    fn exchange(&self, request: Outgoing) -> Exchange<'_> {
        Box::pin(self.send(request))
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn random(&self) -> u128 {
        rand::random()
    }
}

#[cfg(test)]
mod tests;
