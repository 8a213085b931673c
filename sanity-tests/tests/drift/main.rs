//! Drift between cloud and cluster: found, reported, repaired. eckctl in this process, and the shipped controller, against a
//! simulated cloud and an API server.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod adopt;
mod audit;
mod bundle;
mod controller;
mod explain;
mod marks;
mod outage;
mod rig;
mod twins;
