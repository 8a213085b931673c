//! Regular expressions that are written in the code.

use regex::Regex;

/// Compiles a pattern of the code's own: a test of each user compiles it too, so a wrong one is seen before anybody meets it.
pub(crate) fn pattern(text: &str) -> Regex {
    match Regex::new(text) {
        Ok(pattern) => pattern,
        Err(error) => unreachable!("{error}"),
    }
}
