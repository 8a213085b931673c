//! The id of this machine in the cloud, as the platform's metadata service tells it on the machine itself.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use eck_csi::field::BadField;
use serve::fetch::{self, FetchError, Uri};

/// How long one URL may take. The service is on the machine's link; who has none must not wait long for its start.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest id that is taken, in bytes: a UUID has 36.
const LONGEST: usize = 64;

/// Where the id is told: as the whole answer, or, with a fragment, where that JSON Pointer (RFC 6901 §6) is in an answer of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceIdUrl {
    url: Uri,
    pointer: Option<String>,
}

impl FromStr for InstanceIdUrl {
    type Err = BadField;

    fn from_str(text: &str) -> Result<Self, BadField> {
        let allowed = "http://HOST[:PORT]/PATH, with #/KEY behind it where the answer is JSON, such as http://169.254.169.254/meta-data/instance-id";
        let bad = || BadField::new("--instance-id-url", text, allowed);
        let (url, pointer) = match text.split_once('#') {
            Some((url, pointer)) => (url, Some(pointer.to_owned())),
            None => (text, None),
        };
        let url: Uri = url.parse().map_err(|_| bad())?;
        let plain = url.scheme_str() == Some("http") && url.host().is_some_and(|host| !host.is_empty());
        let pointed = pointer.as_ref().is_none_or(|pointer| pointer.starts_with('/'));
        if plain && pointed { Ok(Self { url, pointer }) } else { Err(bad()) }
    }
}

impl fmt::Display for InstanceIdUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)?;
        self.pointer.iter().try_for_each(|pointer| write!(f, "#{pointer}"))
    }
}

/// Why a URL tells no id.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("no JSON")]
    Json(#[from] serde_json::Error),
    #[error("the answer has no text at {0}")]
    NotThere(String),
    #[error("{0:?} can be no id; allowed: up to {LONGEST} printable characters of ASCII, no '/'")]
    NoId(String),
}

impl InstanceIdUrl {
    async fn ask(&self) -> Result<String, Untold> {
        let answer = fetch::text(&self.url, PATIENCE).await?;
        self.read(&answer)
    }

    fn read(&self, answer: &str) -> Result<String, Untold> {
        let told = match &self.pointer {
            None => answer.trim().to_owned(),
            Some(pointer) => {
                let json: serde_json::Value = serde_json::from_str(answer)?;
                let text = json.pointer(pointer).and_then(serde_json::Value::as_str);
                text.ok_or_else(|| Untold::NotThere(pointer.clone()))?.to_owned()
            }
        };
        let plain = told.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
        if plain && (1..=LONGEST).contains(&told.len()) {
            return Ok(told);
        }
        Err(Untold::NoId(told.chars().take(LONGEST).collect()))
    }
}

/// What the first of them tells that tells one. A machine that has no such service is known by its address.
pub(crate) async fn ask(urls: &[InstanceIdUrl]) -> Option<String> {
    for url in urls {
        match url.ask().await {
            Ok(id) => {
                tracing::info!(%url, id, "This machine's id in the cloud");
                return Some(id);
            }
            Err(error) => {
                let error = serve::chain::chain(&error);
                tracing::warn!(%url, error, "The metadata service does not tell this machine's id");
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "http://169.254.169.254/meta-data/instance-id";
    const JSON: &str = "http://169.254.169.254/openstack/latest/meta_data.json#/uuid";

    #[test]
    fn a_url_is_plain_http_with_a_pointer_at_most() {
        for text in [PLAIN, JSON, "http://metadata:8080/id", "http://[fd00::1]/id"] {
            assert_eq!(text.parse::<InstanceIdUrl>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "169.254.169.254/id",
            "https://metadata/id",
            "http:///id",
            "http://m/id#uuid",
            "http://m /id",
        ] {
            let error = text.parse::<InstanceIdUrl>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("--instance-id-url: {text:?} is not allowed")), "{error}");
        }
    }

    fn read(url: &str, answer: &str) -> Result<String, String> {
        url.parse::<InstanceIdUrl>().unwrap().read(answer).map_err(|error| error.to_string())
    }

    #[test]
    fn an_id_is_the_answer_or_what_the_pointer_is_at() {
        assert_eq!(read(PLAIN, "evm-1\n").unwrap(), "evm-1");
        let uuid = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d";
        assert_eq!(read(JSON, &format!(r#"{{"uuid": "{uuid}", "name": "n"}}"#)).unwrap(), uuid);
        for (url, answer, words) in [
            (PLAIN, "", "\"\" can be no id"),
            (PLAIN, "<html>\n<body>not found", "can be no id"),
            (PLAIN, "a/b", "can be no id"),
            (PLAIN, &"x".repeat(LONGEST + 1), "can be no id"),
            (JSON, "evm-1", "no JSON"),
            (JSON, r#"{"id": "evm-1"}"#, "the answer has no text at /uuid"),
            (JSON, r#"{"uuid": 7}"#, "the answer has no text at /uuid"),
        ] {
            let error = read(url, answer).unwrap_err();
            assert!(error.contains(words), "{answer}: {error}");
        }
    }

    #[tokio::test]
    async fn the_first_that_tells_an_id_is_believed_and_none_is_needed() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            for answer in
                ["HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nevm-1"]
            {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let url = |path: &str| format!("http://{address}/{path}").parse::<InstanceIdUrl>().unwrap();
        assert_eq!(ask(&[url("a"), url("b")]).await.as_deref(), Some("evm-1"));
        serving.join().unwrap();
        assert_eq!(ask(&[url("a")]).await, None);
        assert_eq!(ask(&[]).await, None);
    }
}
