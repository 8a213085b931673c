//! Lists: their shape, their pages, how old they are and what they leave out.

use super::change::{Named, but};
use crate::dialect::{Omits, Page, Shape, Told};

pub(super) const ALL: &[Named] = &[
    ("list-under-another-key", || but(|d| d.lists.disks.shape = Shape::OtherKey)),
    ("list-is-an-empty-object", || but(|d| d.lists.disks.shape = Shape::EmptyObject)),
    ("list-is-an-empty-array", || but(|d| d.lists.disks.shape = Shape::EmptyArray)),
    ("list-has-no-payload", || but(|d| d.lists.disks.shape = Shape::NoPayload)),
    ("list-is-null", || but(|d| d.lists.disks.shape = Shape::NullList)),
    ("list-of-ten-whatever-is-asked", || but(|d| d.lists.disks.page = Page::TenOnly)),
    ("list-in-pages-of-ten", || but(|d| d.lists.disks.page = Page::Ten)),
    ("list-with-one-token-again-and-again", || but(|d| d.lists.disks.page = Page::TokenRepeated)),
    ("list-omits-one-that-it-counts", || but(|d| d.lists.disks.omits = Omits::Last)),
    ("list-omits-one-and-does-not-count-it", || but(|d| d.lists.disks.omits = Omits::LastUncounted)),
    ("list-without-a-total", || but(|d| d.lists.disks.total = Told::Absent)),
    ("list-lags-20-s", || but(|d| d.lists.disks.lag = 20_000)),
    ("by-name-lags-20-s", || but(|d| d.lists.by_name.lag = 20_000)),
    ("by-name-under-another-key", || but(|d| d.lists.by_name.shape = Shape::OtherKey)),
    ("machines-under-another-key", || but(|d| d.lists.machines.shape = Shape::OtherKey)),
    ("machine-pages-from-zero", || but(|d| d.lists.machines.page = Page::FromZero)),
    ("machine-page-number-ignored", || but(|d| d.lists.machines.page = Page::NumberIgnored)),
];
