//! The one shape of a complaint about a request: which field, which value, what is allowed.

use std::collections::HashMap;

use serve::code::GrpcCode;
use tonic::Code;

use crate::driver::MAX_MAP_BYTES;

/// A request field that cannot be taken. Always final: the same request would fail again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value:?} is not allowed; allowed: {allowed}")]
pub struct BadField {
    /// Name of the field as the CSI spec or the StorageClass spells it.
    pub field: String,
    /// The value that came, cut to a readable length. Never a secret.
    pub value: String,
    /// What would have been accepted.
    pub allowed: String,
}

/// Characters of a refused value that an error repeats: enough to recognise it, too few to flood a log.
const SHOWN: usize = 160;

impl BadField {
    /// Complains about `field`, repeating `value` and saying what is `allowed`.
    pub fn new(field: impl Into<String>, value: impl ToString, allowed: impl Into<String>) -> Self {
        let value = value.to_string();
        let value = if value.chars().count() > SHOWN {
            format!("{}… ({} bytes)", value.chars().take(SHOWN).collect::<String>(), value.len())
        } else {
            value
        };
        Self { field: field.into(), value, allowed: allowed.into() }
    }

    /// Complains that a required field is missing.
    pub fn missing(field: impl Into<String>) -> Self {
        Self::new(field, "", "a value; the field is required")
    }
}

impl GrpcCode for BadField {
    fn code(&self) -> Code {
        // The spec's code for a request that is wrong in itself.
        Code::InvalidArgument
    }
}

serve::into_status!(BadField);

/// Takes a required string of at most `max` bytes without control characters.
pub fn text(field: &str, value: String, max: usize) -> Result<String, BadField> {
    if value.is_empty() {
        return Err(BadField::missing(field));
    }
    if value.len() > max {
        return Err(BadField::new(field, value, format!("at most {max} bytes")));
    }
    if value.chars().any(char::is_control) {
        return Err(BadField::new(field, value, "text without control characters"));
    }
    Ok(value)
}

/// Refuses a map that is larger than the CSI spec allows.
pub fn map(field: &str, map: &HashMap<String, String>) -> Result<(), BadField> {
    let bytes: usize = map.iter().map(|(k, v)| k.len() + v.len()).sum();
    if bytes > MAX_MAP_BYTES {
        let allowed = format!("at most {MAX_MAP_BYTES} bytes of keys and values");
        return Err(BadField::new(field, format!("{} entries, {bytes} bytes", map.len()), allowed));
    }
    Ok(())
}

/// The known word nearest to `word` by edit distance, if it is near enough to be meant.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let distances = known.iter().map(|known| (strsim::levenshtein(&lower, &known.to_lowercase()), *known));
    let (distance, nearest) = distances.min()?;
    (distance <= nearest.len().max(3) / 2).then_some(nearest)
}

/// The end of a refusal of `word`: which known word may have been meant; nothing if none is near enough.
pub fn hint(word: &str, known: &[&str]) -> String {
    nearest(word, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

/// Refuses the entry `key` of the map `field`, which only takes `known` ones.
pub fn unknown(field: &str, key: &str, value: &str, known: &[&str]) -> BadField {
    let allowed = format!("the parameters {}{}", known.join(", "), hint(key, known));
    BadField::new(format!("{field}.{key}"), value, allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_the_known_word() {
        let known = ["diskType", "fsType", "region"];
        assert_eq!(nearest("disktpye", &known), Some("diskType"));
        assert_eq!(nearest("Region", &known), Some("region"));
        assert_eq!(nearest("somethingElseEntirely", &known), None);
    }

    #[test]
    fn a_refusal_names_field_value_and_what_is_allowed() {
        let e = text("name", "x".repeat(200), 128).unwrap_err();
        assert!(e.to_string().starts_with("name: \"xxx"), "{e}");
        assert!(e.to_string().ends_with("allowed: at most 128 bytes"), "{e}");
        assert!(text("name", "a\nb".into(), 128).is_err());
        assert_eq!(text("name", "盘 1".into(), 128).unwrap(), "盘 1");
    }
}
