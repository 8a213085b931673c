//! The ECX cloud API, 1:1: wire types (shared with the simulator), signing, errors, and a client without policy beyond
//! retries and the rate budget. Nothing of CSI or Kubernetes is known here.

pub mod api;
pub mod client;
pub mod codes;
pub mod decode;
pub mod error;
pub mod profile;
pub mod sign;
pub mod throttle;
pub mod token;
pub mod transport;

pub use client::Client;
pub use error::Error;
pub use profile::Profile;
pub use sign::Credentials;
