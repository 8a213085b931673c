//! What a bundle consists of.

use serde_json::Value;

/// The files of a bundle by their path in it, and what could not be had.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) files: Vec<(String, String)>,
    pub(super) missing: Vec<String>,
}

impl Content {
    pub(super) fn add(&mut self, path: impl Into<String>, text: String) {
        self.files.push((path.into(), text));
    }

    pub(super) fn add_json(&mut self, path: impl Into<String>, value: &Value) {
        self.add(path, format!("{value:#}\n"));
    }

    /// What could not be had is part of the answer, not the end of it.
    pub(super) fn lacks(&mut self, what: &str, error: &dyn std::error::Error) {
        self.missing.push(format!("{what}: {}", serve::chain::chain(error)));
    }
}
