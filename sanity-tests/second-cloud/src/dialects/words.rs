//! How a disk is told.

use super::change::{Named, but};
use crate::dialect::{Dialect, Ids, Names, OddDisk, Told};

pub(super) const ALL: &[Named] = &[
    ("id-with-another-prefix", || but(|d| d.ids = Ids::OtherPrefix)),
    ("id-in-upper-case", || but(|d| d.ids = Ids::UpperCase)),
    ("id-is-a-uuid", || but(|d| d.ids = Ids::BareUuid)),
    ("id-is-a-uuid-with-the-prefix", || but(|d| d.ids = Ids::CdUuid)),
    ("name-cut", || but(|d| d.names = Names::Cut)),
    ("name-in-upper-case", || but(|d| d.names = Names::UpperCase)),
    ("name-with-a-suffix", || but(|d| d.names = Names::Suffix)),
    ("name-with-a-suffix-and-found-by-the-whole", || but(|d| d.names = Names::SuffixNotFound)),
    ("name-not-told-by-name", || but(|d| d.names = Names::NotInLookUp)),
    ("holder-not-told", || but(|d| (d.disk.attachments, d.disk.instance) = (Told::Absent, Told::Absent))),
    ("holder-null", || but(|d| (d.disk.attachments, d.disk.instance) = (Told::Null, Told::Null))),
    ("holder-not-told-in-lists", holder_not_in_lists),
    ("attachments-not-told", || but(|d| d.disk.attachments = Told::Absent)),
    ("attachments-empty", || but(|d| d.disk.attachments = Told::Otherwise)),
    ("instance-not-told", || but(|d| d.disk.instance = Told::Absent)),
    ("size-not-told", || but(|d| d.disk.size = Told::Absent)),
    ("size-is-null", || but(|d| d.disk.size = Told::Null)),
    ("size-is-text", || but(|d| d.disk.size = Told::Otherwise)),
    ("type-not-told", || but(|d| d.disk.kind = Told::Absent)),
    ("type-in-lower-case", || but(|d| d.disk.kind = Told::Otherwise)),
    ("source-not-told", || but(|d| d.disk.source = Told::Absent)),
    ("source-is-null", || but(|d| d.disk.source = Told::Null)),
    ("created-in-seconds", || but(|d| d.disk.created = Told::Otherwise)),
    ("created-not-told", || but(|d| d.disk.created = Told::Absent)),
    ("labels-not-told", || but(|d| d.disk.labels = Told::Absent)),
    ("labels-are-an-object", || but(|d| d.disk.labels = Told::Otherwise)),
    ("state-in-upper-case", || but(|d| d.disk.state = Told::Otherwise)),
    ("states-of-the-other-list", || but(|d| d.disk.aliases = true)),
    ("one-disk-with-a-null-size", || but(|d| d.odd_disk = Some(OddDisk::NullSize))),
    ("one-disk-with-a-size-as-text", || but(|d| d.odd_disk = Some(OddDisk::TextSize))),
    ("one-disk-with-a-time-as-text", || but(|d| d.odd_disk = Some(OddDisk::TextTime))),
    ("one-disk-with-a-null-state", || but(|d| d.odd_disk = Some(OddDisk::NullState))),
    ("one-disk-without-an-id", || but(|d| d.odd_disk = Some(OddDisk::NoId))),
];

fn holder_not_in_lists() -> Dialect {
    but(|d| {
        (d.disk.attachments, d.disk.instance) = (Told::Absent, Told::Absent);
        d.disk.in_lists_only = true;
    })
}
