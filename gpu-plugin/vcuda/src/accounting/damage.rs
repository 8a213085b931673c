//! Damage to the accounting file: a number that no process has written.

use std::sync::Once;
use std::sync::atomic::Ordering;

use ideal_gpu::accounting::layout::{DAMAGED, MAGIC};
use ideal_gpu::container_paths::ACCOUNTING;

use super::mapping::Mapping;
use crate::log;

/// The file is damaged. It was logged.
#[derive(Debug)]
pub(crate) struct Damage;

impl Damage {
    /// Marks the file: CUDA is refused from now on, as what is used of the cards is not known any more.
    pub(super) fn mark(mapping: &Mapping, what: &str) -> Self {
        mapping.number(0).store(DAMAGED, Ordering::SeqCst);
        Self::report(what)
    }

    /// Logs it, once.
    pub(super) fn report(what: &str) -> Self {
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            log::error(&format!(
                "{ACCOUNTING} is damaged: {what}. CUDA memory is refused until the container restarts"
            ));
        });
        Self
    }
}

/// Whether the file begins as an accounting file does, and nobody has marked it as damaged.
pub(super) fn check_magic(mapping: &Mapping) -> Result<(), Damage> {
    match mapping.number(0).load(Ordering::SeqCst) {
        MAGIC => Ok(()),
        _ => Err(Damage::mark(mapping, "it does not begin as an accounting file does")),
    }
}
