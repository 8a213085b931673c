//! The functions that this library intercepts, by what they are about.

mod arrays;
mod capture;
mod context;
mod graphs;
mod heap;
mod launch;
mod memory;
mod memset;
mod nvml;
mod pools;
mod proc_address;
mod refused;
mod sizes;
mod sync;
mod table;
#[cfg(test)]
mod tests;
mod vmm;

pub(crate) use proc_address::all;
