//! Machines.

use super::change::{Named, but};
use crate::dialect::Told;

pub(super) const ALL: &[Named] = &[
    ("machine-not-listed", || but(|d| d.machines.hidden = true)),
    ("two-vpcs-with-one-address", || but(|d| d.machines.twins = true)),
    ("machine-address-null", || but(|d| d.machines.ip = Told::Null)),
    ("another-clusters-disk-of-the-name", || but(|d| d.same_name_elsewhere = true)),
    ("keys-rotate-before-the-order", || but(|d| d.keys_rotate_after = Some(3))),
    ("keys-rotate-after-the-order", || but(|d| d.keys_rotate_after = Some(4))),
];
