//! The functions that this library stands before, by what they are about.

use crate::hook::Hook;

mod arrays;
mod capture;
mod context;
mod graphs;
mod launch;
mod memory;
mod memset;
mod pools;
mod sizes;
mod sync;
mod vmm;

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Hook> {
    [
        arrays::HOOKS,
        capture::HOOKS,
        context::HOOKS,
        graphs::HOOKS,
        launch::HOOKS,
        memory::HOOKS,
        memset::HOOKS,
        pools::HOOKS,
        sizes::HOOKS,
        sync::HOOKS,
        vmm::HOOKS,
    ]
    .into_iter()
    .flatten()
}
