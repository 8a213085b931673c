//! The ECX cloud, simulated: state, time, limits and faults behind the same wire types as the client's.
//!
//! `world` is a synchronous state machine that knows neither HTTP nor time's source; `clock` says what time it is; `plane`
//! makes disks real (sparse files and loop devices); `http` is the door; `fault` decides what goes wrong. `server` is
//! all of it on a socket, `local` within the caller's runtime; what a test does with either is in `cloud`.

pub mod clock;
pub mod cloud;
pub mod config;
pub mod fault;
mod held;
mod http;
mod limit;
pub mod local;
pub mod plane;
mod request_log;
pub mod server;
mod shared;
mod state_file;
pub mod world;

pub use config::Config;
pub use fault::{Effect, Fault};
pub use limit::Rate;
pub use local::Local;
pub use request_log::LogEntry;
pub use server::Sim;
pub use shared::StartError;
pub use state_file::StateError;
