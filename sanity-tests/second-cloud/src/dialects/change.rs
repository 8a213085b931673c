//! How the rows of the table are made.

use crate::ask::Op;
use crate::dialect::{Course, Dialect, Fault, Wrong};

/// A dialect's name and itself.
pub type Named = (&'static str, fn() -> Dialect);

/// The base, changed.
pub(super) fn but(change: impl FnOnce(&mut Dialect)) -> Dialect {
    let mut dialect = Dialect::base();
    change(&mut dialect);
    dialect
}

/// The base with something that goes wrong with the first `count` requests of an operation.
pub(super) fn wrong(op: Op, count: u32, what: Wrong) -> Dialect {
    but(|d| d.faults.push(Fault { op: Some(op), region: None, skip: 0, count, what }))
}

/// Accepted, and begun only after so long.
pub(super) fn late(begins: u64) -> Course {
    Course { begins, ..Course::of(2000) }
}
