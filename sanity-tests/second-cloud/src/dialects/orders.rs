//! How orders and jobs go on, and what becomes of tokens.

use super::change::{Named, but, late, wrong};
use crate::ask::Op;
use crate::dialect::{Course, Left, Tokens, Wrong};

pub(super) const ALL: &[Named] = &[
    ("tokens-ignored", || but(|d| d.tokens = Tokens::Ignored)),
    ("tokens-ignored-and-create-reply-lost", || {
        let mut dialect = wrong(Op::NewDisk, 1, Wrong::Lost);
        dialect.tokens = Tokens::Ignored;
        dialect
    }),
    ("create-begins-after-30-s", || but(|d| d.create = late(30_000))),
    ("create-fails-late", || but(|d| d.create = Course { fail: 1, ..Course::of(20_000) })),
    ("refund-begins-after-30-s", || but(|d| d.refund = late(30_000))),
    ("refunded-disk-shown-for-2-min", || but(|d| d.left = Left { shown: 120_000, state: "available" })),
    ("attach-begins-after-20-s", || but(|d| d.attach = late(20_000))),
    ("attach-fails-late", || but(|d| d.attach = Course { fail: 1, ..Course::of(20_000) })),
    ("detach-begins-after-20-s", || but(|d| d.detach = late(20_000))),
    ("detach-fails-late", || but(|d| d.detach = Course { fail: 1, ..Course::of(20_000) })),
];
