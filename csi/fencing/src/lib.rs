//! What the API server has of nodes that are cut off or dead, and the two things that are done to them there: the taint that says
//! "out of service" is put, and it is taken away again. What the cloud says of the node's machine is not known here; the controller
//! asks both and decides.
//!
//! ```text
//! detach ─▶ Nodes: is the node ready, and does its kubelet use the disk?
//! attach, where the address leaves it open ─▶ Nodes: which machine does the node say that it is?
//! dead nodes ─▶ Outages: which nodes are not ready ─▶ the cloud, twice ─▶ Outages: the taint
//! ```

// A new error or state does not compile until every match has decided what it means.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod cluster;
mod event;
mod instance;
mod kubernetes;
mod lookup;
mod node;
mod watch;

pub use cluster::{Nodes, Outages};
pub use instance::InstanceSource;
pub use kubernetes::{Kubernetes, Leader};
pub use node::{Node, OutOfService, TAINT};
