//! Pods go where the sources of their claims are. A disk can only be made in the region of the snapshot or volume that it is made from,
//! and the scheduler does not know of sources: so a pod of such a claim is given the region when it is made (ADR 0017).
//!
//! ```text
//! server ─▶ reader: the pod's claims ─▶ their sources ─▶ regions, asked of the API server
//!       └─▶ affinity: pod, regions → patch, a pure function
//! ```
//!
//! Nothing is written but the webhook's own certificate, and no pod is ever refused.

// A new error or state does not compile until every match has decided what it means.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod affinity;
mod claims;
pub mod metrics;
mod reader;
pub mod server;
mod source;

pub use source::Source;
