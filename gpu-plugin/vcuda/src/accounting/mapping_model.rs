//! In place of the mapped file, for models: the numbers of two processes, of one card each, as loom's atomics.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::AtomicU32;

use ideal_gpu::accounting::layout::{
    PROCESS_CHECK, PROCESS_NAMESPACE, PROCESS_SPILLED, PROCESS_STACK, PROCESS_START, PROCESS_USED, pid_at,
    process_at,
};

use crate::sync::AtomicU64;

/// Processes that a model has at most.
const PROCESSES: usize = 2;

/// By offset. All zero, as the file is at the start of a container.
pub(crate) struct Mapping {
    numbers: BTreeMap<usize, AtomicU64>,
    lock_word: AtomicU32,
}

impl Mapping {
    pub(super) fn new(_file: &File) -> std::io::Result<Self> {
        Err(std::io::Error::other("a model has no file"))
    }

    /// One that nobody has used yet.
    pub(super) fn unused() -> Self {
        let of_process = |number: usize| {
            let fields = [
                PROCESS_START,
                PROCESS_NAMESPACE,
                PROCESS_STACK,
                PROCESS_CHECK,
                PROCESS_USED,
                PROCESS_SPILLED,
            ];
            fields.into_iter().map(move |field| process_at(number) + field).chain([pid_at(number)])
        };
        let offsets = (0..PROCESSES).flat_map(of_process).chain([0]);
        let numbers = offsets.map(|at| (at, AtomicU64::new(0))).collect();
        Self { numbers, lock_word: AtomicU32::new(0) }
    }

    pub(super) fn number(&self, at: usize) -> &AtomicU64 {
        self.numbers.get(&at).unwrap_or_else(|| panic!("a model has no number at offset {at}"))
    }

    pub(super) fn lock_word(&self) -> &AtomicU32 {
        &self.lock_word
    }
}
