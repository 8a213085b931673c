//! Checks a signature, in the order of ecx/API.md B.2, and says which step failed.

use std::time::Duration;

use axum::http::HeaderMap;
use ecx::sign::{self, Credentials, Signed};

use crate::shared::Shared;

/// A date is good for so long, each way (ecx/API.md §1.1, 2).
const WINDOW_MS: u64 = 15 * 60 * 1000;

pub(super) fn check(shared: &Shared, headers: &HeaderMap, query: &str, body: &[u8]) -> Result<(), String> {
    let get = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let required = |name: &str| get(name).ok_or_else(|| format!("header {name} is missing"));
    let authorization = required(sign::AUTHORIZATION)?;
    let date = required(sign::DATE)?;
    let request_id = required(sign::REQUEST_ID)?;
    if get("user-agent").is_none_or(str::is_empty) {
        return Err("header User-Agent is missing".to_owned());
    }
    let time = sign::parse_date(date).ok_or_else(|| format!("eop-date {date:?} is no date"))?;
    let ms = time.duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis();
    let now = u128::from(shared.clock.now_ms());
    if ms.abs_diff(now) > u128::from(WINDOW_MS) {
        return Err(format!("eop-date {date} is outside 15 minutes"));
    }
    let mut words = authorization.split(' ');
    let (ak, names, given) = (words.next(), words.next(), words.next());
    let (Some(ak), Some(names), Some(given)) = (ak, names, given) else {
        return Err("Eop-Authorization has not three parts".to_owned());
    };
    let sk = shared.config.keys.get(ak).ok_or_else(|| format!("AK {ak} is not known"))?;
    let names = names.trim_start_matches("Headers=").split(';').collect::<Vec<_>>();
    if !names.contains(&sign::REQUEST_ID) || !names.contains(&sign::DATE) {
        return Err("both mandatory headers must be signed".to_owned());
    }
    let mut signed = Vec::new();
    for name in &names {
        signed.push((*name, get(name).ok_or_else(|| format!("signed header {name} is missing"))?));
    }
    let expected = Signed { headers: signed, query, body }.signature(&Credentials::new(ak, sk), date);
    if !same(expected.as_bytes(), given.trim_start_matches("Signature=").as_bytes()) {
        return Err("the signature differs".to_owned());
    }
    if shared.config.refuse_replays && !shared.first_use(request_id) {
        return Err(format!("request id {request_id} was used before"));
    }
    Ok(())
}

/// Compares in a time that does not depend on where the texts differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}
