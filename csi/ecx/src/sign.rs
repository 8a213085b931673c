//! The EOP signature (ecx/API.md §1), pure: the simulator checks with the same code.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::digest::Output;
use sha2::{Digest, Sha256};

/// Epoch milliseconds of a date in RFC 3339; `None` for other text and for what was before 1970.
pub(crate) fn epoch_milliseconds(date: &str) -> Option<u64> {
    date.parse::<Timestamp>().ok()?.as_millisecond().try_into().ok()
}

/// Header of the request id.
pub const REQUEST_ID: &str = "ctyun-eop-request-id";
/// Header of the date, as it is signed.
pub const DATE: &str = "eop-date";
/// Header of the signature.
pub const AUTHORIZATION: &str = "Eop-Authorization";

/// Beijing is eight hours ahead of UTC all year.
const BEIJING: Offset = Offset::constant(8);

/// Layout of an `Eop-date`; the `Z` does not mean UTC here.
const EOP_DATE: &str = "%Y%m%dT%H%M%SZ";

/// What a query value encodes: all but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// An access key and its secret. Has no `Debug`: it cannot be logged.
#[derive(Clone)]
pub struct Credentials {
    ak: String,
    sk: String,
}

impl Credentials {
    /// From the account's key pair; surrounding white space (of a mounted file) is dropped.
    pub fn new(ak: &str, sk: &str) -> Self {
        Self { ak: ak.trim().to_owned(), sk: sk.trim().to_owned() }
    }

    /// The access key; not secret.
    pub fn ak(&self) -> &str {
        &self.ak
    }
}

/// What is signed.
#[derive(Debug, Clone)]
pub struct Signed<'a> {
    /// Headers, names in lower case; sorted here.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The query as it goes on the wire: keys sorted, values encoded.
    pub query: &'a str,
    /// The exact bytes of the body.
    pub body: &'a [u8],
}

impl Signed<'_> {
    /// Headers block, query and body hash (ecx/API.md §1.1, 3–6).
    pub fn string_to_sign(&self) -> String {
        let mut headers = self.headers.clone();
        headers.sort_unstable();
        let block: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        format!("{block}\n{}\n{:x}", self.query, Sha256::digest(self.body))
    }

    /// Base64 of the HMAC over [`Self::string_to_sign`] with the key of the day.
    pub fn signature(&self, credentials: &Credentials, date: &str) -> String {
        let [_, _, key] = keys(credentials, date);
        STANDARD.encode(hmac(&key, &self.string_to_sign()))
    }

    /// The value of `Eop-Authorization`.
    pub fn authorization(&self, credentials: &Credentials, date: &str) -> String {
        let mut names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        format!(
            "{} Headers={} Signature={}",
            credentials.ak,
            names.join(";"),
            self.signature(credentials, date)
        )
    }
}

/// `ktime`, `kAk` and `kdate` (ecx/API.md §1.1, 8).
fn keys(credentials: &Credentials, date: &str) -> [Output<Sha256>; 3] {
    let ktime = hmac(credentials.sk.as_bytes(), date);
    let kak = hmac(&ktime, &credentials.ak);
    let kdate = hmac(&kak, date.get(..8).unwrap_or(date));
    [ktime, kak, kdate]
}

fn hmac(key: &[u8], message: &str) -> Output<Sha256> {
    // HMAC takes a key of any length, so `new_from_slice` cannot fail; an empty digest would fail every check anyway.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Output::<Sha256>::default() };
    mac.update(message.as_bytes());
    mac.finalize().into_bytes()
}

/// Pairs as a query: keys sorted, values encoded by RFC 3986.
pub fn query(pairs: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = pairs.iter().collect();
    sorted.sort();
    let encode = |(key, value): &(String, String)| format!("{key}={}", utf8_percent_encode(value, RESERVED));
    sorted.into_iter().map(encode).collect::<Vec<_>>().join("&")
}

/// `time` as `yyyyMMdd'T'HHmmss'Z'` in **Beijing** wall time.
pub fn eop_date(time: SystemTime) -> String {
    BEIJING.to_datetime(timestamp(time)).strftime(EOP_DATE).to_string()
}

/// Reads an `Eop-date`; `None` if it has another form.
pub fn parse_date(text: &str) -> Option<SystemTime> {
    let date = DateTime::strptime(EOP_DATE, text).ok()?;
    // The parser also takes numbers that are shorter or signed.
    let same = date.strftime(EOP_DATE).to_string() == text;
    BEIJING.to_timestamp(date).ok().filter(|_| same).map(SystemTime::from)
}

/// `time` as the cloud writes the times of snapshots, e.g. `2022-11-08T10:07:28Z`: RFC 3339, in UTC, whole seconds.
pub fn rfc3339(time: SystemTime) -> String {
    timestamp(time).strftime("%FT%TZ").to_string()
}

/// 1970 for a time that no calendar has.
fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests;
