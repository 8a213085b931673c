//! How orders and jobs go on, and what becomes of tokens.

use super::change::{Named, but, fails, fault, late, unseen, wrong};
use crate::ask::Op;
use crate::dialect::{Course, Dialect, Fault, Left, Tokens, Word, Wrong};
use crate::world::HOME;

const SOLD_OUT: Word = (200, "900", "ebs.resource.soldOut");

/// Longer than anybody looks.
const FOR_EVER: u64 = 1 << 40;

pub(super) const ALL: &[Named] = &[
    ("tokens-ignored", || but(|d| d.tokens = Tokens::Ignored)),
    ("tokens-ignored-and-create-reply-lost", tokens_ignored_and_lost),
    ("tokens-ignored-and-create-begins-late", || {
        but(|d| (d.tokens, d.create) = (Tokens::Ignored, late(400_000)))
    }),
    ("tokens-forgotten-and-create-unseen", || {
        but(|d| (d.tokens, d.create) = (Tokens::ForgottenAfter(60_000), unseen(400_000)))
    }),
    ("create-begins-after-30-s", || but(|d| d.create = late(30_000))),
    ("create-takes-10-min", || but(|d| d.create = Course::of(600_000))),
    ("create-unseen-for-20-s", || but(|d| d.create = unseen(20_000))),
    ("token-bound-to-its-first-body", || {
        but(|d| {
            d.tokens = Tokens::OfTheFirst;
            let what = Wrong::Refused(SOLD_OUT);
            d.faults.push(Fault { region: Some(HOME), ..fault(Op::NewDisk, 3, what) });
        })
    }),
    ("create-fails-and-leaves-a-dead-disk", || {
        but(|d| d.create = Course { leaves_dead: true, ..fails(20_000) })
    }),
    ("create-fails-late", || but(|d| d.create = fails(20_000))),
    ("refund-begins-after-30-s", || but(|d| d.refund = late(30_000))),
    ("refund-unseen-for-20-s", || but(|d| d.refund = unseen(20_000))),
    ("refund-fails-late", || but(|d| d.refund = fails(20_000))),
    ("refund-order-says-12-and-13", || but(|d| d.refund = Course { done: "13", ..unseen(20_000) })),
    ("refunded-disk-shown-for-2-min", || but(|d| d.left = Left { shown: 120_000, state: "available" })),
    ("refunded-disk-shown-for-ever", || but(|d| d.left = Left { shown: FOR_EVER, state: "available" })),
    ("refunded-disk-in-a-recycle-bin", || but(|d| d.left = Left { shown: FOR_EVER, state: "recycled" })),
    ("resize-begins-after-30-s", || but(|d| d.resize = late(30_000))),
    ("resize-unseen-for-20-s", || but(|d| d.resize = unseen(20_000))),
    ("resize-fails-late", || but(|d| d.resize = fails(20_000))),
    ("snapshot-begins-after-30-s", || but(|d| d.snapshot = late(30_000))),
    ("attach-begins-after-20-s", || but(|d| d.attach = late(20_000))),
    ("attach-unseen-for-20-s", || but(|d| d.attach = unseen(20_000))),
    ("attach-fails-late", || but(|d| d.attach = fails(20_000))),
    ("attach-done-and-said-to-fail", || but(|d| d.attach = Course { lies: true, ..fails(2000) })),
    ("detach-begins-after-20-s", || but(|d| d.detach = late(20_000))),
    ("detach-held-by-the-guest-for-3-min", || but(|d| d.detach = unseen(180_000))),
    ("detach-fails-late", || but(|d| d.detach = fails(20_000))),
    ("detach-done-and-said-to-fail", || but(|d| d.detach = Course { lies: true, ..fails(2000) })),
    ("orders-cannot-be-asked", || but(|d| (d.absent, d.refund) = (vec![Op::Order], late(30_000)))),
    ("jobs-cannot-be-asked", || but(|d| (d.absent, d.attach) = (vec![Op::Job], fails(5000)))),
];

fn tokens_ignored_and_lost() -> Dialect {
    let mut dialect = wrong(Op::NewDisk, 1, Wrong::Lost);
    dialect.tokens = Tokens::Ignored;
    dialect
}
