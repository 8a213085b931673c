//! What has drifted between the cloud and the cluster: disks that nobody holds a volume of, volumes whose disk is gone,
//! attachments that one side has and the other has not. The controller shows it as a metric and as events, `eckctl` to
//! people.
//!
//! ```text
//! report ─▶ cluster (before) ─▶ cloud ─▶ cluster (after) ─▶ decide: facts → findings, a pure function
//! ```
//!
//! Nothing is changed here.

// A new error or state does not compile until every match has decided what it means.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod cloud;
pub mod cluster;
pub mod decide;
pub mod event;
pub mod finding;
mod missing;
pub mod report;
#[cfg(test)]
mod scripted_cloud;

pub use decide::{Terms, decide};
pub use finding::{Finding, FindingKind};
pub use report::{Report, ReportError, report};
