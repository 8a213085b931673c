//! The ECX cloud, simulated: state, time, limits and faults behind the same wire types as the client's.
//!
//! `world` is a synchronous state machine that knows neither HTTP nor time's source; `clock` says what time it is; `plane`
//! makes disks real (sparse files and loop devices); `http` is the door; `fault` decides what goes wrong.

pub mod clock;
pub mod config;
pub mod fault;
mod http;
pub mod plane;
pub mod server;
pub mod world;

pub use config::Config;
pub use fault::{Effect, Fault};
pub use server::Sim;
