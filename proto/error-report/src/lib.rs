//! Prints an error with its causes, once.

use std::error::Error;

/// `error` and its sources, joined by `: `. A layer whose text already ends with its source's text is not repeated, so
/// that `#[error(transparent)]` and `{0}` in a format string do no harm.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("cannot stage {0}")]
        Stage(&'static str, #[source] std::io::Error),
        #[error("again: {0}")]
        Repeats(#[source] std::io::Error),
    }

    #[test]
    fn each_cause_is_printed_once() {
        let io = || std::io::Error::other("no such disk");
        assert_eq!(chain(&Outer::Stage("cd-1", io())), "cannot stage cd-1: no such disk");
        assert_eq!(chain(&Outer::Repeats(io())), "again: no such disk");
    }
}
