//! What the two halves of `eck-csi` share: the words of the domain, parsed once, and the table of running operations.
//!
//! Imports point one way: `driver` ← `field` ← (`cluster`, `volume` ← (`capability`, `snapshot_id`, `volume_options` ← `context`)) ←
//! `identity`; `operations` and `recent` stand alone. Neither the cloud client nor the block layer may appear here: this crate is linked into both
//! programs.

// A new error or state does not compile until every match has decided what it means.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod capability;
pub mod cluster;
pub mod context;
pub mod driver;
pub mod field;
pub mod identity;
pub mod operations;
pub mod recent;
pub mod snapshot_id;
pub mod volume;
pub mod volume_options;
