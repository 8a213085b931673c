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
pub const DIALECTS: [(&str, &[Named]); 7] = [
    ("base", &[("base", Dialect::base)]),
    ("replies", replies::ALL),
    ("lists", lists::ALL),
    ("words", words::ALL),
    ("orders", orders::ALL),
    ("errors", errors::ALL),
    ("machines", machines::ALL),
];
