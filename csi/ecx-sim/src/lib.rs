//! The ECX cloud, simulated: state, time, limits and faults behind the same wire types as the client's.
//!
//! `world` is a synchronous state machine that knows neither HTTP nor time's source; `clock` says what time it is; `plane`
//! makes disks real (sparse files and loop devices); `http` is the door; `fault` decides what goes wrong. `server` is
//! all of it on a socket, `local` within the caller's runtime; what a test does with either is in `cloud`.

pub mod clock;
pub mod cloud;
pub mod config;
pub mod fault;
mod http;
mod limit;
pub mod local;
pub mod plane;
pub mod server;
pub mod world;

pub use config::Config;
pub use fault::{Effect, Fault};
pub use limit::Rate;
pub use local::Local;
pub use server::Sim;
