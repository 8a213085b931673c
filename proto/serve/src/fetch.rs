//! A text from a service of this machine or of its link: one GET, in the open, without proxies and redirects.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use http::{Request, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub use http::Uri;

/// The longest answer that is read, in bytes: what a service of a machine tells of it is a few kB.
const LONGEST: usize = 64 << 10;

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody listens, or no name is known.
    #[error("no connection")]
    Connect(#[from] io::Error),
    /// The other end speaks no HTTP, or breaks off.
    #[error("no HTTP")]
    Http(#[from] hyper::Error),
    /// The URL.
    #[error("no request")]
    Request(#[from] http::Error),
    /// Another status than 200.
    #[error("HTTP status {0}")]
    Status(StatusCode),
    /// A body without an end.
    #[error("more than {LONGEST} bytes")]
    Long,
    /// Bytes that are no text.
    #[error("not UTF-8")]
    NotText,
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    Slow(Duration),
}

/// The answer to a GET of an `http://` URL, within `patience`.
///
/// # Errors
///
/// Whatever is no text with status 200.
pub async fn text(url: &Uri, patience: Duration) -> Result<String, FetchError> {
    let bytes = tokio::time::timeout(patience, get(url)).await.map_err(|_| FetchError::Slow(patience))??;
    String::from_utf8(bytes).map_err(|_| FetchError::NotText)
}

async fn get(url: &Uri) -> Result<Vec<u8>, FetchError> {
    // An address of IPv6 stands in brackets there.
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, url.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(header::HOST, authority).body(String::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        match response.status() {
            StatusCode::OK => whole(response.into_body()).await,
            other => Err(FetchError::Status(other)),
        }
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The last of a body may be read already when the other end closes.
        ended = connection => { ended?; answer.await }
    }
}

async fn whole(mut body: Incoming) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(piece) = frame?.into_data() else { continue };
        if bytes.len() + piece.len() > LONGEST {
            return Err(FetchError::Long);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    /// What is made of an answer, and the request that it was an answer to.
    async fn fetched(answer: Vec<u8>) -> (Result<String, FetchError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/meta-data/instance-id?a=b", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            // Whoever has read enough goes away.
            drop(stream.write_all(&answer));
            head.join("\n")
        });
        let text = text(&url.parse().unwrap(), Duration::from_secs(10)).await;
        (text, asked.join().unwrap())
    }

    #[tokio::test]
    async fn what_is_told_with_200_is_the_text() {
        let (text, asked) = fetched(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nevm-1".to_vec()).await;
        assert_eq!(text.unwrap(), "evm-1");
        assert!(asked.starts_with("GET /meta-data/instance-id?a=b HTTP/1.1\nhost: 127.0.0.1:"), "{asked}");
        let (text, _) = fetched(b"HTTP/1.0 200 OK\r\n\r\nevm-1".to_vec()).await;
        assert_eq!(text.unwrap(), "evm-1", "the end of the connection is the end of the body");
    }

    #[tokio::test]
    async fn whatever_else_is_told_is_an_error() {
        let long = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; LONGEST + 1]].concat();
        for (answer, words) in [
            (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(), "HTTP status 404 Not Found"),
            (
                b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n".to_vec(),
                "HTTP status 302 Found",
            ),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nevm".to_vec(), "no HTTP"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\xff".to_vec(), "not UTF-8"),
            (b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), "no HTTP"),
            (long, "more than 65536 bytes"),
        ] {
            assert_eq!(fetched(answer).await.0.unwrap_err().to_string(), words);
        }
    }

    #[tokio::test]
    async fn nobody_is_waited_for_for_ever() {
        // A port that is bound and never answers.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let patience = Duration::from_millis(50);
        let slow = text(&url, patience).await.unwrap_err();
        assert!(matches!(slow, FetchError::Slow(waited) if waited == patience), "{slow}");
        drop(listener);
        assert!(matches!(text(&url, Duration::from_secs(10)).await, Err(FetchError::Connect(_))));
    }
}
