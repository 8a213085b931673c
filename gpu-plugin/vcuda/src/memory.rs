//! What this process holds of each card.
//!
//! The driver works in blocks of 2 MiB; which of them an allocation costs is seen from its address (`blocks`). Each allocation is
//! charged to this process (`charge`) and written down (`allocations`, `pools`, `physical`, `graphs`), so that what is given back is
//! what was charged.

pub(crate) mod allocations;
mod blocks;
pub(crate) mod charge;
pub(crate) mod graphs;
pub(crate) mod physical;
pub(crate) mod pools;

pub(crate) use blocks::whole_blocks;
pub(crate) use charge::Charge;
