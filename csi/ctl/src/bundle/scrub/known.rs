//! Keys that are known, and every way in which they may be written.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::names::STRUCK;

/// A shorter key would strike out half of the text, and no key is that short.
const SHORTEST: usize = 8;

/// The forms of all keys, the longest first. Has no `Debug`.
pub(super) struct Known(Vec<String>);

impl Known {
    pub(super) fn new(keys: &[String]) -> Self {
        let mut forms: Vec<String> =
            keys.iter().filter(|key| key.len() >= SHORTEST).flat_map(|key| forms(key)).collect();
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        Self(forms)
    }

    pub(super) fn strike(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, form| {
            if text.contains(form.as_str()) { text.replace(form.as_str(), STRUCK) } else { text }
        })
    }
}

/// As it is, in hexadecimal, percent-encoded, and in both base64 wherever it begins in what is encoded.
fn forms(key: &str) -> Vec<String> {
    let hex = |upper: bool| {
        key.bytes().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }).collect()
    };
    let escaped = utf8_percent_encode(key, NON_ALPHANUMERIC).to_string();
    let mut forms = vec![key.to_owned(), hex(false), hex(true), escaped.to_ascii_lowercase(), escaped];
    for before in 0..3usize {
        let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(key.bytes()).collect();
        // Only the letters that the key alone decides.
        let (first, last) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            forms.extend(encoded.get(first..last).map(str::to_owned));
        }
    }
    forms
}
