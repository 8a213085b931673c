//! The node half: from CSI's Node service to devices, file systems and mounts. It never talks to the cloud.
//!
//! ```text
//! service ─▶ stage, unstage, publish, unpublish, expand    operations: parse, read state, decide, act, prove
//!            stats, health (through probes)                what may hang, on threads of their own
//!            trim                                          the weekly fstrim, an operation too
//!               └─▶ driver (what operations share) ─▶ history, trim/schedule, metrics
//!               └─▶ open_volume ─▶ host (four traits) ─▶ host/machine ─▶ sysfs, content, filesystem, luks, mount
//! registration: the kubelet learns of the CSI socket; instance_id: the metadata service tells which machine this is
//! ```

// A new error or state does not compile until every match has decided what it means.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod args;
pub mod driver;
pub mod error;
mod expand;
mod fields;
mod finding;
pub mod fsid;
mod health;
mod history;
pub mod host;
pub mod instance_id;
mod key;
pub mod metrics;
mod open_volume;
mod options;
mod probes;
mod publish;
pub mod registration;
pub mod request;
mod response;
pub mod run;
pub mod service;
mod slots;
mod stage;
mod stats;
mod trim;
mod unpublish;
mod unstage;
