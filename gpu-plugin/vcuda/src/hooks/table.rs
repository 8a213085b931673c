//! The functions that this library intercepts, but for those of `proc_address`: they search this table, and so are above it.

use super::{
    arrays, capture, context, graphs, heap, launch, memory, memset, nvml, pools, refused, sizes, sync, vmm,
};
use crate::hook::Hook;

/// By the file that defines them.
pub(super) static FILES: [&[Hook]; 15] = [
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
];
