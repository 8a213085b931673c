//! The ECX cloud API, 1:1: wire types (shared with the simulator), signing, errors, and a client without policy beyond
//! retries and the rate budget. Nothing of CSI or Kubernetes is known here.

// A new error or state does not compile until every match has decided what it means.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod api;
pub mod call_record;
pub mod client;
pub mod codes;
pub mod decode;
pub mod error;
mod fields;
pub mod lists;
mod outages;
pub mod profile;
pub mod sign;
pub mod throttle;
pub mod token;
mod trace;
pub mod transport;

pub use client::Client;
pub use error::Error;
pub use profile::Profile;
pub use sign::Credentials;
pub use transport::Connection;
