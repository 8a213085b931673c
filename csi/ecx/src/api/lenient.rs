//! Values that one cloud spells otherwise than another: a number as text, a time in seconds or as a date, null for what is not told.
//! And lists whose records are read one by one: one that cannot be read is no reason not to know of the others.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::sign;

/// Epoch milliseconds are above this since 1973; what is below are seconds. No disk is older than that, so no moment that is read is
/// below it, and none is taken for seconds when it is read again.
const FIRST_MILLISECOND: u64 = 100_000_000_000;

/// A number, also as text; `None` for null.
pub(super) fn optional_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        other @ (Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_)) => {
            number_of(&other).map(Some).ok_or_else(|| D::Error::custom(format!("{other} is no whole number")))
        }
    }
}

/// A number, also as text; 0 for null.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    optional_number(deserializer).map(Option::unwrap_or_default)
}

/// A small number, also as text; 0 for null.
pub(super) fn small_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    number(deserializer)?.try_into().map_err(D::Error::custom)
}

/// Text, also as a number; empty for null.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    optional_text(deserializer).map(Option::unwrap_or_default)
}

/// Text, also as a number; `None` for null.
pub(super) fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        other @ (Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            Err(D::Error::custom(format!("{other} is no text")))
        }
    }
}

/// A moment in epoch milliseconds: told so, in seconds, or as a date; `None` for whatever else: when a disk was made decides nothing
/// that may not also be unknown.
pub(super) fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let dated = || value.as_str().and_then(sign::epoch_milliseconds);
    let counted = |number: u64| if number < FIRST_MILLISECOND { number.saturating_mul(1000) } else { number };
    Ok(number_of(&value).map(counted).or_else(dated).filter(|moment| *moment >= FIRST_MILLISECOND))
}

fn number_of(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The records that can be read, and the others as they came.
pub(super) fn split<T: DeserializeOwned>(records: Vec<Value>) -> (Vec<T>, Vec<Value>) {
    let (mut read, mut unreadable) = (Vec::with_capacity(records.len()), Vec::new());
    for record in records {
        match T::deserialize(&record) {
            Ok(one) => read.push(one),
            Err(_) => unreadable.push(record),
        }
    }
    (read, unreadable)
}

/// The records as they came; the order of a list means nothing.
pub(super) fn joined<T: Serialize>(read: &[T], unreadable: Vec<Value>) -> Vec<Value> {
    let written = read.iter().filter_map(|one| serde_json::to_value(one).ok());
    written.chain(unreadable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(json: &str) -> Option<u64> {
        milliseconds(&mut serde_json::Deserializer::from_str(json)).unwrap()
    }

    #[test]
    fn a_moment_is_read_in_every_spelling() {
        for told in ["1676081790000", "1676081790", r#""1676081790000""#, r#""2023-02-11T02:16:30Z""#] {
            assert_eq!(time(told), Some(1_676_081_790_000), "{told}");
        }
    }

    #[test]
    fn a_moment_that_nobody_can_read_is_not_told() {
        for untold in
            ["null", "0", r#""""#, r#""soon""#, "-1", "[]", "1.5", "1700", r#""1970-01-20T16:13:20Z""#]
        {
            assert_eq!(time(untold), None, "{untold}");
        }
    }

    #[test]
    fn a_number_may_be_text_and_nothing_else() {
        let read = |json: &str| number(&mut serde_json::Deserializer::from_str(json)).ok();
        assert_eq!([read("20"), read(r#""20""#), read("null")], [Some(20), Some(20), Some(0)]);
        assert_eq!([read(r#""20 GB""#), read("-1"), read("[]"), read("1.5")], [None; 4]);
    }
}
