//! The product from outside: what the tests, the benchmarks and the demos share. `README.md` says which test covers what.
//!
//! | module | is |
//! |---|---|
//! | `process` | a shipped program as a process of its own |
//! | `in_process` | the controller in the caller's process, on a real socket |
//! | `direct` | the controller in the caller's runtime, without a socket |
//! | `sidecar` | a client that calls the controller as the CSI sidecars do |
//! | `kubelet` | a client that calls a node as the kubelet does |
//! | `stack` | simulated cloud, controller and nodes as programs |
//! | `edge` | the same on virtual machines |
//! | `simulation` | the controller under a seeded scheduler, in virtual time |
//! | `apiserver` | a Kubernetes API server |
//! | `fake_kubelet` | a kubelet's device manager, and kube-scheduler |
//! | `rig` | the error type and the end of programs that use these |

pub mod apiserver;
pub mod direct;
pub mod edge;
pub mod fake_kubelet;
pub mod in_process;
pub mod kubelet;
pub mod process;
pub mod rig;
pub mod sidecar;
pub mod simulation;
pub mod stack;
