//! Snapshots, restored volumes, clones, groups and modified volumes against the simulated cloud in virtual time: every reply is
//! true in the cloud, and whatever goes wrong on the way, nothing is left that nobody requested.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clones;
mod faults;
mod groups;
mod health;
mod list;
mod modify;
mod publish;
mod restore;
mod rig;
mod snapshots;
