//! What a client needs of the world around it: a way to the cloud, the time of day, and chance. Programs have
//! [`HttpTransport`]; a simulation brings its own, so that a seed gives the same run again. Everything else of the client is
//! the same code.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use reqwest::header::RETRY_AFTER;

use crate::profile::Profile;

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
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use tokio::task::{JoinHandle, spawn_blocking};

    use super::*;

    const PIECE: usize = 1 << 20;

    /// A cloud whose one answer has up to `pieces` pieces of a megabyte. Gives how many were taken.
    fn cloud(pieces: usize) -> (Profile, JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let answered = spawn_blocking(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let head = BufReader::new(stream.try_clone().unwrap()).lines();
            head.map(Result::unwrap).take_while(|line| !line.is_empty()).for_each(drop);
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
            let piece = [format!("{PIECE:x}\r\n").as_bytes(), &[b' '; PIECE], b"\r\n"].concat();
            let taken = (0..pieces).take_while(|_| stream.write_all(&piece).is_ok()).count();
            // Whoever has gone away hears nothing of the end.
            drop(stream.write_all(b"0\r\n\r\n"));
            taken
        });
        (Profile { base_url, ..Profile::default() }, answered)
    }

    async fn ask(profile: &Profile) -> Result<Incoming, NoReply> {
        let transport = HttpTransport::new(profile).unwrap();
        transport.exchange(Outgoing { url: profile.base_url.clone(), body: None, headers: Vec::new() }).await
    }

    #[tokio::test]
    async fn a_body_without_an_end_is_not_read_to_its_end() {
        let (profile, answered) = cloud(1000);
        let lost = ask(&profile).await.err().unwrap();
        assert_eq!(lost.code, "too long");
        assert!(lost.message.contains("more than 16777216 bytes"), "{}", lost.message);
        let taken = answered.await.unwrap();
        assert!(taken < 100, "{taken} pieces were taken");
    }

    #[tokio::test]
    async fn the_longest_body_is_read_whole() {
        let (profile, answered) = cloud(LONGEST_BODY / PIECE);
        let reply = ask(&profile).await.ok().unwrap();
        assert_eq!((reply.http, reply.body.len()), (200, LONGEST_BODY));
        assert_eq!(answered.await.unwrap(), LONGEST_BODY / PIECE);
    }
}
