//! The controller half: from CSI's Controller service to the ECX API. It never touches a device.
//!
//! ```text
//! service ─▶ create, delete, attach, detach, expand, modify, snapshot    operations: parse, read state, decide, act, prove
//!            list, validate, capacity, health                            reads
//! dead_nodes                                                            beside them: nodes whose machine is off are tainted
//!               └─▶ driver: disk_reader (shared), disk_locator (disk → region), nodes (node → instance), machines (is it off?),
//!                           attach_queue ─▶ ecx; regions, detach_policy, dead_nodes ─▶ API server
//! ```

// A new error or state does not compile until every match has decided what it means.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod accepted;
mod admission;
pub mod args;
mod attach;
mod attach_queue;
mod audit;
mod capacity;
mod create;
mod dead_nodes;
mod delete;
mod detach;
mod detach_policy;
mod disk_locator;
mod disk_reader;
pub mod driver;
mod error;
mod expand;
mod first_answer;
mod health;
mod left_machines;
mod list;
#[cfg(test)]
mod local_cloud;
mod machines;
mod metrics;
mod modify;
mod name;
mod nodes;
mod open_orders;
mod order_attempts;
mod own_cluster;
mod paging;
pub mod parameters;
mod publish_modes;
mod regions;
pub mod request;
mod response;
pub mod run;
pub mod service;
mod silent_regions;
mod snapshot;
mod topology;
mod validate;
