//! How a reply as a whole looks, and whether it comes.

use super::change::{Named, but, fault, wrong};
use crate::ask::Op;
use crate::dialect::{Answer, Dialect, Envelope, Fault, Word, Wrong};
use crate::world::REGIONS;

const DENIED: Word = (403, "900", "CTIAM_0005");
const UNKNOWN: Word = (200, "900", "ebs.something.newSince");

pub(super) const ALL: &[Named] = &[
    ("envelope-text-800", || but(|d| d.envelope = Envelope::Text800)),
    ("envelope-text-200", || but(|d| d.envelope = Envelope::Text200)),
    ("envelope-core-ok", || but(|d| d.envelope = Envelope::CoreOk)),
    ("writes-tell-nothing", || but(|d| d.writes_tell = false)),
    ("create-in-progress-without-an-id", || but(|d| d.create.answer = Answer::NoId)),
    ("create-tells-only-an-order", || but(|d| d.create.answer = Answer::Bare)),
    ("create-reply-lost", || wrong(Op::NewDisk, 1, Wrong::Lost)),
    ("restore-reply-lost", || wrong(Op::NewFromSnapshot, 1, Wrong::Lost)),
    ("attach-reply-lost", || wrong(Op::Attach, 1, Wrong::Lost)),
    ("detach-reply-lost", || wrong(Op::Detach, 1, Wrong::Lost)),
    ("refund-reply-lost", || wrong(Op::Refund, 1, Wrong::Lost)),
    ("resize-reply-lost", || wrong(Op::Resize, 1, Wrong::Lost)),
    ("snapshot-reply-lost", || wrong(Op::NewSnapshot, 1, Wrong::Lost)),
    ("unsnapshot-reply-lost", || wrong(Op::DropSnapshot, 1, Wrong::Lost)),
    ("create-request-lost", || wrong(Op::NewDisk, 1, Wrong::Dropped)),
    ("attach-request-lost", || wrong(Op::Attach, 1, Wrong::Dropped)),
    ("create-reply-truncated", || wrong(Op::NewDisk, 1, Wrong::Truncated)),
    ("attach-reply-truncated", || wrong(Op::Attach, 1, Wrong::Truncated)),
    ("detach-reply-empty", || wrong(Op::Detach, 1, Wrong::EmptyBody)),
    ("refund-reply-empty", || wrong(Op::Refund, 1, Wrong::EmptyBody)),
    ("list-reply-of-8-mib", || wrong(Op::List, 2, Wrong::Huge)),
    ("info-reply-without-end", || wrong(Op::Info, 2, Wrong::Endless)),
    ("create-done-and-refused-by-an-unknown-word", || wrong(Op::NewDisk, 1, Wrong::RefusedButDone(UNKNOWN))),
    ("attach-done-and-refused-by-an-unknown-word", || wrong(Op::Attach, 1, Wrong::RefusedButDone(UNKNOWN))),
    ("detach-done-and-refused-by-an-unknown-word", || wrong(Op::Detach, 1, Wrong::RefusedButDone(UNKNOWN))),
    ("refund-done-and-refused-by-an-unknown-word", || wrong(Op::Refund, 1, Wrong::RefusedButDone(UNKNOWN))),
    ("gateway-fails-now-and-then", || but(|d| d.faults.push(Fault { skip: 2, ..all(4, Wrong::Html(502)) }))),
    ("redirected-to-a-login", || but(|d| d.faults.push(Fault { skip: 3, ..all(3, Wrong::Html(302)) }))),
    ("a-page-with-200", || but(|d| d.faults.push(Fault { skip: 3, ..all(3, Wrong::Html(200)) }))),
    ("throttled-for-50-minutes", || wrong(Op::Info, 1, Wrong::RetryAfter(3000))),
    ("throttled-for-a-second", || but(|d| d.faults.push(all(10, Wrong::RetryAfter(1))))),
    ("create-lost-then-denied", lost_then_denied),
    ("look-denied-after-the-order", || {
        // The first look is three; from then on each try of a client that needs one region's answer is one, which it makes in vain.
        but(|d| d.faults.push(Fault { skip: 3, ..fault(Op::ByName, 4, Wrong::Refused(DENIED)) }))
    }),
    ("info-denied-once", || wrong(Op::Info, 1, Wrong::Refused(DENIED))),
    ("list-denied", || wrong(Op::List, u32::MAX, Wrong::Refused(DENIED))),
    ("one-region-hangs", || but(|d| d.faults.push(region(Wrong::Hangs)))),
    ("one-region-fails", || but(|d| d.faults.push(region(Wrong::Html(502))))),
    ("one-region-denied", || but(|d| d.faults.push(region(Wrong::Refused(DENIED))))),
];

fn all(count: u32, what: Wrong) -> Fault {
    Fault { op: None, region: None, skip: 0, count, what }
}

fn region(what: Wrong) -> Fault {
    Fault { region: Some(REGIONS[1]), ..all(u32::MAX, what) }
}

fn lost_then_denied() -> Dialect {
    let mut dialect = wrong(Op::NewDisk, 1, Wrong::Lost);
    dialect.faults.push(Fault { skip: 1, ..fault(Op::NewDisk, 1, Wrong::Refused(DENIED)) });
    dialect
}
