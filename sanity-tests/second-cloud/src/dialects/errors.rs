//! Error words.

use super::change::{Named, but, wrong};
use crate::ask::Op;
use crate::dialect::{Word, Wrong};

const BC_0008: Word = (400, "400", "BC_0008");
const NOT_FOUND: Word = (404, "404", "NotFound");
const UNKNOWN_400: Word = (400, "900", "ebs.something.newSince");
const UNKNOWN_900: Word = (200, "900", "ebs.something.newSince");

pub(super) const ALL: &[Named] = &[
    ("attach-says-bc-0008", || wrong(Op::Attach, 1, Wrong::Refused(BC_0008))),
    ("detach-says-bc-0008", || wrong(Op::Detach, 1, Wrong::Refused(BC_0008))),
    ("refund-says-bc-0008", || wrong(Op::Refund, 1, Wrong::Refused(BC_0008))),
    ("resize-says-bc-0008", || wrong(Op::Resize, 1, Wrong::Refused(BC_0008))),
    ("refund-says-not-found", || wrong(Op::Refund, 1, Wrong::Refused(NOT_FOUND))),
    ("attach-says-an-unknown-400", || wrong(Op::Attach, 1, Wrong::Refused(UNKNOWN_400))),
    ("attach-says-an-unknown-900", || wrong(Op::Attach, 1, Wrong::Refused(UNKNOWN_900))),
    ("detach-says-an-unknown-400", || wrong(Op::Detach, 1, Wrong::Refused(UNKNOWN_400))),
    ("refund-says-an-unknown-900", || wrong(Op::Refund, 1, Wrong::Refused(UNKNOWN_900))),
    ("create-says-an-unknown-900", || wrong(Op::NewDisk, 1, Wrong::Refused(UNKNOWN_900))),
    ("no-disk-is-not-found", || but(|d| d.words.no_disk = NOT_FOUND)),
    ("no-disk-is-bc-0008", || but(|d| d.words.no_disk = BC_0008)),
    ("no-disk-is-an-unknown-900", || but(|d| d.words.no_disk = UNKNOWN_900)),
    ("no-machine-is-an-unknown-400", || but(|d| d.words.no_machine = UNKNOWN_400)),
    ("attached-is-an-unknown-900", || but(|d| d.words.attached = UNKNOWN_900)),
    ("state-is-an-unknown-400", || but(|d| d.words.state = UNKNOWN_400)),
    ("not-attached-is-an-unknown-400", || but(|d| d.words.not_attached = UNKNOWN_400)),
    ("not-attached-is-an-unknown-900", || but(|d| d.words.not_attached = UNKNOWN_900)),
];
