//! The product from outside: what the tests, the benches and the demo share.
//!
//! `process` runs a shipped program; `in_process` serves the controller from the caller's own process, on a real
//! socket, and `direct` without one; `sidecar` calls it as the CSI sidecars do, `kubelet` calls a node; `stack` is all
//! programs together, `edge` the same on virtual machines. `simulation` is the controller under a seeded scheduler, in virtual time.

pub mod apiserver;
pub mod direct;
pub mod edge;
pub mod fake_kubelet;
pub mod in_process;
pub mod kubelet;
pub mod process;
pub mod sidecar;
pub mod simulation;
pub mod stack;
