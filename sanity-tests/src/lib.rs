//! The product from outside: what the tests, the benches and the demo share.
//!
//! `process` runs a shipped program; `in_process` serves the controller from the caller's own process, on a real socket;
//! `sidecar` calls it as the CSI sidecars do, `kubelet` calls a node; `stack` is all programs together.

pub mod apiserver;
pub mod fake_kubelet;
pub mod in_process;
pub mod kubelet;
pub mod process;
pub mod sidecar;
pub mod stack;
