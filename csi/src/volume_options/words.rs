//! Options whose values are words.

use std::collections::HashMap;

use crate::field::BadField;

/// The value that a word stands for; the default where the key is missing.
pub(super) fn word<T: Copy + Default>(
    field: &str,
    key: &str,
    values: &HashMap<String, String>,
    words: &[(&str, T)],
) -> Result<T, BadField> {
    let Some(text) = values.get(key) else { return Ok(T::default()) };
    let known = words.iter().find(|(word, _)| word == text);
    known.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        BadField::new(format!("{field}.{key}"), text, words.join(", "))
    })
}

/// The word that stands for a value.
pub(super) fn name<T: PartialEq>(words: &[(&str, T)], value: T) -> String {
    words.iter().find(|(_, v)| *v == value).map_or_else(String::new, |(word, _)| (*word).to_owned())
}
