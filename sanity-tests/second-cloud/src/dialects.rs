//! The table of dialects. Each differs from the base in one respect; its name says in which.

use crate::dialect::Dialect;

mod change;
mod errors;
mod lists;
mod machines;
mod orders;
mod replies;
mod words;

pub use change::Named;

/// All dialects, family by family.
pub const DIALECTS: [&[Named]; 7] =
    [BASE, replies::ALL, lists::ALL, words::ALL, orders::ALL, errors::ALL, machines::ALL];

const BASE: &[Named] = &[("base", Dialect::base)];
