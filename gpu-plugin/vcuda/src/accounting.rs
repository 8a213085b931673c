//! The accounting of this container, mapped: what its processes share. The layout is `ideal_gpu::accounting`'s.
//!
//! Exact under SIGKILL at any instruction: what a process uses stands in its own entry and nowhere else, each number is written
//! whole, and an entry whose process is dead counts until somebody clears it, never the other way round.
//!
//! The programs of the container may write into the file. A number that none of these functions has written is found (`damage`), and
//! then CUDA is refused until the container restarts. A program that forges valid numbers is not found: it could as well change this
//! library in its own memory.

use std::sync::OnceLock;

use ideal_gpu::container_paths::ACCOUNTING;

use crate::log;

mod damage;
mod file;
mod fork_local;
mod futex_lock;
#[cfg(not(loom))]
mod mapping;
#[cfg(loom)]
#[path = "accounting/mapping_model.rs"]
mod mapping;
mod ofd_lock;
mod own_entry;
mod process_entry;
mod process_identity;
mod sums;

pub(crate) use damage::Damage;
pub(crate) use file::{Accounting, CardCounters};
pub(crate) use fork_local::process_id;
pub(crate) use process_entry::ProcessEntry;

/// The accounting. `None` where there is none that can be used: then CUDA is refused, and the reason was logged.
pub(crate) fn get() -> Option<&'static Accounting> {
    static OPENED: OnceLock<Option<Accounting>> = OnceLock::new();
    let open = || match Accounting::open() {
        Ok(accounting) => Some(accounting),
        Err(why) => {
            log::error(&format!("{ACCOUNTING}: {why}. CUDA is refused in this program"));
            None
        }
    };
    OPENED.get_or_init(open).as_ref()
}
