//! The node program from outside, on real loop devices with real file systems: what it does when a call is repeated, for
//! invalid requests, after a SIGKILL, and for the kubelet that it registers with. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod block_volumes;
mod expand;
mod fixture;
mod health;
mod idempotency;
mod in_use;
mod invalid_requests;
mod programs;
mod registration;
mod restart;
mod restored_volumes;
mod rig;
mod sharing;
mod storage_class_options;
mod symlinks;
