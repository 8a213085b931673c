//! The EOP signature (ecx/API.md §1), pure: the simulator checks with the same code.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Header of the request id.
pub const REQUEST_ID: &str = "ctyun-eop-request-id";
/// Header of the date, as it is signed.
pub const DATE: &str = "eop-date";
/// Header of the signature.
pub const AUTHORIZATION: &str = "Eop-Authorization";

/// Beijing is eight hours ahead of UTC, the year round.
const BEIJING: Duration = Duration::from_secs(8 * 3600);

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
        let block = headers.iter().fold(String::new(), |mut block, (name, value)| {
            let _ = writeln!(block, "{name}:{value}");
            block
        });
        format!("{block}\n{}\n{}", self.query, hex(&Sha256::digest(self.body)))
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
fn keys(credentials: &Credentials, date: &str) -> [[u8; 32]; 3] {
    let ktime = hmac(credentials.sk.as_bytes(), date);
    let kak = hmac(&ktime, &credentials.ak);
    let kdate = hmac(&kak, date.get(..8).unwrap_or(date));
    [ktime, kak, kdate]
}

fn hmac(key: &[u8], message: &str) -> [u8; 32] {
    // HMAC takes a key of any length, so `new_from_slice` cannot fail; an empty digest would fail every check anyway.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Pairs as a query: keys sorted, values encoded by RFC 3986.
pub fn query(pairs: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = pairs.iter().collect();
    sorted.sort();
    let encoded: Vec<String> = sorted.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
    encoded.join("&")
}

fn encode(value: &str) -> String {
    value.bytes().fold(String::with_capacity(value.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// `time` as `yyyyMMdd'T'HHmmss'Z'` in **Beijing** wall time; the `Z` is layout only.
pub fn eop_date(time: SystemTime) -> String {
    let ([year, month, day], [hour, minute, second]) = moment(time + BEIJING);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// `time` as the cloud writes the moments of snapshots, e.g. `2022-11-08T10:07:28Z`: RFC 3339, in UTC.
pub fn rfc3339(time: SystemTime) -> String {
    let ([year, month, day], [hour, minute, second]) = moment(time);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Date and time of day.
fn moment(time: SystemTime) -> ([u64; 3], [u64; 3]) {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    (civil(days).into(), [second / 3600, second / 60 % 60, second % 60])
}

/// Reads an `Eop-date`; `None` if it has another form.
pub fn parse_date(text: &str) -> Option<SystemTime> {
    let digits = |range: std::ops::Range<usize>| -> Option<u64> {
        let part = text.get(range)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    if text.len() != 16 || text.get(8..9)? != "T" || text.get(15..16)? != "Z" {
        return None;
    }
    let (year, month, day) = (digits(0..4)?, digits(4..6)?, digits(6..8)?);
    let (hour, minute, second) = (digits(9..11)?, digits(11..13)?, digits(13..15)?);
    // The day is found by asking `civil`, so that both directions share one calendar.
    let first = (year.checked_sub(1970)?) * 365 + (year - 1969) / 4 - (year.checked_sub(1901)?) / 100
        + (year - 1601) / 400;
    let days = (first..first + 367).find(|d| civil(*d) == (year, month, day))?;
    let valid = hour < 24 && minute < 60 && second < 60;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    valid.then(|| UNIX_EPOCH + Duration::from_secs(seconds) - BEIJING)
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Days since 0000-03-01, so that the leap day is a year's last: 719,468 days before 1970-01-01.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;
