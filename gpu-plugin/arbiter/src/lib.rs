//! Gives out the time of the node's cards: which container may launch on which card now, decided outside of all containers.
//!
//! The decision (`turns`, of `container` and `account`) is plain; the sockets of the containers and the clock are in `service`.

mod account;
mod container;
mod service;
mod turns;

pub use container::Shares;
pub use service::{Arbiter, ArbiterError};
