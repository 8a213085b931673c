//! What a bundle consists of.

use serde_json::Value;

use super::scrub::Scrub;

/// A file's content, with its secrets still in it.
pub(super) enum Body {
    Json(Value),
    Text(String),
}

impl Body {
    /// What may leave.
    pub(super) fn scrubbed(&self, scrub: &Scrub) -> String {
        match self {
            Self::Json(value) => {
                let mut value = value.clone();
                scrub.object(&mut value);
                format!("{value:#}\n")
            }
            Self::Text(text) => scrub.text(text),
        }
    }
}

/// The files of a bundle by their path in it, and what could not be had.
#[derive(Default)]
pub(super) struct Content {
    pub(super) files: Vec<(String, Body)>,
    pub(super) missing: Vec<String>,
}

impl Content {
    pub(super) fn add(&mut self, path: impl Into<String>, text: String) {
        self.files.push((path.into(), Body::Text(text)));
    }

    pub(super) fn add_json(&mut self, path: impl Into<String>, value: Value) {
        self.files.push((path.into(), Body::Json(value)));
    }

    /// What could not be had is part of the answer, not the end of it.
    pub(super) fn lacks(&mut self, what: &str, error: &dyn std::error::Error) {
        self.missing.push(format!("{what}: {}", serve::chain::chain(error)));
    }
}
