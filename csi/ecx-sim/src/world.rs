//! The cloud's state and its rules: who may do what in which state (ecx/API.md B.4), with the refusals of B.6. Synchronous;
//! time comes in as a number, and what takes time is a [`Pending`] with a due moment.

mod attach;
mod ids;
mod orders;
mod reads;
mod settle;
mod snapshots;
mod state;
mod stock;

pub use state::*;
