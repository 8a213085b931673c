//! `eckctl cloud-check` before the simulator and before the dialects of a second cloud: what differs is named, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod dialects;
mod every;
mod rig;
mod sim;
mod trial;
