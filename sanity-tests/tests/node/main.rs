//! The node program from outside, on real loop devices with real file systems: what it does twice, differently, on bad
//! input, after a SIGKILL, and for the kubelet that it registers with. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod bad_input;
mod care;
mod copies;
mod health;
mod lifecycle;
mod programs;
mod registration;
mod rig;
