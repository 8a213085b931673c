//! Snapshots, restore, clones, groups and changes against the simulated cloud in virtual time: what is told is so in the cloud,
//! and whatever goes wrong on the way, nothing is left that nobody asked for.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clones;
mod faults;
mod groups;
mod modify;
mod rig;
mod volumes;
