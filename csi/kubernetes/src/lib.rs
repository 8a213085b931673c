//! The API server as the parts of the driver ask it that do: a client, lists, events, and how Kubernetes writes what the driver must read.
//! Nothing of the cloud is known here.

// A new error or state does not compile until every match has decided what it means.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod api;
pub mod error;
pub mod event;
mod regions;
mod time;
mod volumes;

pub use error::ClusterError;
pub use regions::{ClusterRegions, NamedRegions};
pub use time::{Millis, now};
pub use volumes::{CsiSource, disks_in_use, region_of, regions_of};
