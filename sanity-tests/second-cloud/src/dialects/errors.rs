//! Error words.

use super::change::{Named, but, wrong};
use crate::ask::Op;
use crate::dialect::Wrong;

pub(super) const ALL: &[Named] = &[
    ("detach-says-bc-0008", || wrong(Op::Detach, 1, Wrong::Refused((400, "400", "BC_0008")))),
    ("refund-says-not-found", || wrong(Op::Refund, 1, Wrong::Refused((404, "404", "NotFound")))),
    ("not-attached-is-an-unknown-400", || {
        but(|d| d.words.not_attached = (400, "900", "ebs.detach.notAttached"))
    }),
    ("not-attached-is-an-unknown-900", || {
        but(|d| d.words.not_attached = (200, "900", "ebs.detach.notAttached"))
    }),
];
