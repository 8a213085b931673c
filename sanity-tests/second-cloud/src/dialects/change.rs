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

/// What goes wrong with the first `count` requests of an operation.
pub(super) fn fault(op: Op, count: u32, what: Wrong) -> Fault {
    Fault { op: Some(op), region: None, skip: 0, count, what }
}

/// The base with such a fault.
pub(super) fn wrong(op: Op, count: u32, what: Wrong) -> Dialect {
    but(|d| d.faults.push(fault(op, count, what)))
}

/// Accepted, and begun only after so long.
pub(super) fn late(begins: u64) -> Course {
    Course { begins, ..Course::of(2000) }
}

/// Of the first one it is told at its end that it failed.
pub(super) fn fails(runs: u64) -> Course {
    Course { fail: 1, ..Course::of(runs) }
}

/// The state tells nothing of it while it runs.
pub(super) fn unseen(runs: u64) -> Course {
    Course { shown: false, ..Course::of(runs) }
}
