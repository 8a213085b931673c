//! How a reply as a whole looks, and whether it comes.

use super::change::{Named, but, wrong};
use crate::ask::Op;
use crate::cloud::REGIONS;
use crate::dialect::{Envelope, Fault, Wrong};

pub(super) const ALL: &[Named] = &[
    ("envelope-text-800", || but(|d| d.envelope = Envelope::Text800)),
    ("envelope-text-200", || but(|d| d.envelope = Envelope::Text200)),
    ("envelope-core-ok", || but(|d| d.envelope = Envelope::CoreOk)),
    ("create-reply-lost", || wrong(Op::NewDisk, 1, Wrong::Lost)),
    ("attach-reply-lost", || wrong(Op::Attach, 1, Wrong::Lost)),
    ("detach-reply-lost", || wrong(Op::Detach, 1, Wrong::Lost)),
    ("refund-reply-lost", || wrong(Op::Refund, 1, Wrong::Lost)),
    ("one-region-hangs", || but(|d| d.faults.push(region(Wrong::Hangs)))),
    ("one-region-fails", || but(|d| d.faults.push(region(Wrong::Html(502))))),
];

fn region(what: Wrong) -> Fault {
    Fault { op: None, region: Some(REGIONS[1]), skip: 0, count: u32::MAX, what }
}
