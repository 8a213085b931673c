//! The requests of the Controller service, parsed: each stands beside its operation, and here by name for who tests the parsers.

pub use crate::attach::AttachRequest;
pub use crate::create::CreateRequest;
pub use crate::detach::DetachRequest;
pub use crate::expand::ExpandRequest;
