//! What drifts between cloud and cluster: found, told, mended. eckctl in this process, and the shipped controller, against a
//! simulated cloud and an API server that behaves.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod adopt;
mod audit;
mod bundle;
mod controller;
mod explain;
mod scene;
