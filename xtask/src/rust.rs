//! Rust source as tokens: which names a file defines, what it imports, which paths it mentions, how long its functions are.
//!
//! Tokens and not a syntax tree: a path inside `assert!(…)` or `select! {…}` is an import like any other, and a macro's body is
//! nothing but tokens. Code under `#[cfg(test)]` is left out of everything but the lengths of functions.

mod scan;
mod scope;
mod token;
mod tree;
mod uses;

pub(crate) use scan::{functions, tokens};
pub(crate) use scope::{Mention, Use};
pub(crate) use tree::{Target, Tree};
