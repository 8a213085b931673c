//! The functions that this library stands before, by what they are about.

use crate::hook::Hook;

mod addresses;
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
mod refused;
mod sizes;
mod sync;
#[cfg(test)]
mod tests;
mod vmm;

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Hook> {
    [
        addresses::HOOKS,
        arrays::HOOKS,
        capture::HOOKS,
        context::HOOKS,
        graphs::HOOKS,
        heap::HOOKS,
        launch::HOOKS,
        memory::HOOKS,
        memset::HOOKS,
        nvml::HOOKS,
        nvml::refused::HOOKS,
        pools::HOOKS,
        refused::HOOKS,
        sizes::HOOKS,
        sync::HOOKS,
        vmm::HOOKS,
    ]
    .into_iter()
    .flatten()
}
