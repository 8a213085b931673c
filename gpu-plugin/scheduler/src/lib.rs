//! `ideal-gpu-scheduler`: finds cards for pods and binds them, as an extender of kube-scheduler, and keeps requests that no
//! node could satisfy out of the cluster, as an admission webhook. The arithmetic is the crate `ideal-gpu`'s.
//!
//! Imports point one way: `pod` ← `cluster` ← (`filter`, `prioritize`, `bind`) ← `http` ← `run`.

pub mod args;
pub mod bind;
pub mod cluster;
pub mod extender_api;
pub mod filter;
pub mod http;
pub mod leader;
pub mod metrics;
pub mod pod;
pub mod prioritize;
pub mod run;
pub mod watch;
pub mod webhook;
