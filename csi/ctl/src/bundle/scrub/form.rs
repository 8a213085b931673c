//! Words that are secrets by their form, whatever stands before them, and words that are another text, encoded.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;

/// Letters of a key of the cloud: hexadecimal.
const KEY_LETTERS: usize = 32;

/// A shorter word is a word.
const RANDOM_LETTERS: usize = 24;

/// The shortest text of which the base64 is looked into.
const ENCODED_LETTERS: usize = 12;

const ANY_PADDING: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

/// A key, a token, or what chance made.
pub(super) fn is_secret(word: &str) -> bool {
    let json_web_token = word.starts_with("eyJ") && word.len() > 40;
    json_web_token || is_key(word) || word.split('.').any(is_random)
}

fn is_key(word: &str) -> bool {
    word.len() == KEY_LETTERS && word.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Capitals, small letters and digits in no order: names of types change between them once a word, chance more than every second
/// letter.
fn is_random(word: &str) -> bool {
    let kind = |b: u8| (b.is_ascii_uppercase(), b.is_ascii_lowercase());
    let kinds: Vec<_> = word.bytes().filter(u8::is_ascii_alphanumeric).map(kind).collect();
    let changes = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let mixed = kinds.contains(&(true, false)) && kinds.contains(&(false, true));
    word.len() >= RANDOM_LETTERS && mixed && changes * 3 >= kinds.len()
}

/// The text of which this is the base64.
pub(super) fn decoded(word: &str) -> Option<String> {
    if word.len() < ENCODED_LETTERS {
        return None;
    }
    let bytes = STANDARD.decode(word).or_else(|_| URL_SAFE.decode(word));
    String::from_utf8(bytes.ok()?).ok()
}

/// The text that this is when its percent signs are taken for what they encode, if there are any.
pub(super) fn unescaped(token: &str) -> Option<String> {
    let text = percent_decode_str(token).decode_utf8().ok()?;
    (text != token).then(|| text.into_owned())
}
