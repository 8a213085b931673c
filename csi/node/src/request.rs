//! The requests of the Node service, parsed: each stands beside its operation, and here by name for who tests the parsers.

pub use crate::expand::ExpandRequest;
pub use crate::fields::{AccessType, RequestError};
pub use crate::publish::PublishRequest;
pub use crate::stage::StageRequest;
pub use crate::stats::StatsRequest;
pub use crate::unstage::UnstageRequest;
