//! How a disk is told.

use super::change::{Named, but};
use crate::dialect::{Ids, Names, OddDisk, Told};

pub(super) const ALL: &[Named] = &[
    ("id-with-another-prefix", || but(|d| d.ids = Ids::OtherPrefix)),
    ("id-in-upper-case", || but(|d| d.ids = Ids::UpperCase)),
    ("id-is-a-uuid", || but(|d| d.ids = Ids::BareUuid)),
    ("name-cut", || but(|d| d.names = Names::Cut)),
    ("name-not-told-by-name", || but(|d| d.names = Names::NotInLookUp)),
    ("holder-not-told", || but(|d| (d.disk.attachments, d.disk.instance) = (Told::Absent, Told::Absent))),
    ("attachments-not-told", || but(|d| d.disk.attachments = Told::Absent)),
    ("size-not-told", || but(|d| d.disk.size = Told::Absent)),
    ("type-not-told", || but(|d| d.disk.kind = Told::Absent)),
    ("one-disk-with-a-null-size", || but(|d| d.odd_disk = Some(OddDisk::NullSize))),
];
