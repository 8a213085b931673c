//! Machines, other clusters, keys, and what a region has.

use super::change::{Named, but};
use crate::ask::Op;
use crate::dialect::{Dialect, Replaced, Told};

pub(super) const ALL: &[Named] = &[
    ("machine-not-listed", || but(|d| d.machines.hidden = true)),
    ("two-vpcs-with-one-address", || but(|d| d.machines.twins = true)),
    ("machine-address-null", || but(|d| d.machines.ip = Told::Null)),
    ("machine-address-is-a-list", || but(|d| d.machines.ip = Told::Otherwise)),
    ("machine-replaced", || but(|d| d.machines.replaced = Replaced::Once)),
    ("machine-replaced-and-listed-as-deleted", || but(|d| d.machines.replaced = Replaced::Listed)),
    ("another-clusters-disk-of-the-name", || but(|d| d.same_name_elsewhere = true)),
    ("keys-rotate-at-once", || but(|d| d.keys_rotate_after = Some(1))),
    ("keys-rotate-before-the-order", || but(|d| d.keys_rotate_after = Some(3))),
    ("keys-rotate-after-the-order", || but(|d| d.keys_rotate_after = Some(4))),
    ("stock-not-told", || but(|d| d.stock = Told::Absent)),
    ("stock-is-null", || but(|d| d.stock = Told::Null)),
    ("stock-under-other-keys", || but(|d| d.stock = Told::Otherwise)),
    ("stock-cannot-be-asked", || absent(Op::Demand)),
    ("disk-types-cannot-be-asked", || absent(Op::Types)),
];

fn absent(op: Op) -> Dialect {
    but(|d| d.absent = vec![op])
}
