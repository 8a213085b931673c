//! A broken rule, with its place.

use std::path::PathBuf;

/// One broken rule.
#[derive(Debug)]
pub(super) struct Violation {
    /// From the workspace's root.
    pub file: PathBuf,
    pub line: usize,
    /// What it is called in `layers-known.txt`: the same when lines are added above it.
    pub key: String,
    pub text: String,
}
