//! Where everything is in the accounting file of a container.
//!
//! Every number is a `u64` in the machine's byte order and is written in one store, so a reader never sees half of one. A sum over
//! several numbers is of nearly, not exactly, one moment.
//!
//! | offset | content |
//! |---|---|
//! | 0 | [`MAGIC`], 0 before the first process, or [`DAMAGED`] |
//! | 8 | lock for changes of several numbers: the id of the process that holds it, or 0 |
//! | [`CARDS_AT`] | [`CARDS`] entries of [`CARD_BYTES`], one per card: see the constants that begin with `CARD_` |
//! | [`PROCESSES_AT`] | [`PROCESSES`] entries of [`PROCESS_BYTES`], one per process: see those that begin with `PROCESS_` |
//! | [`PIDS_AT`] | the id of each process as it sees it itself, or 0 if its entry is free |

use crate::names::MAX_CARDS_PER_NODE;

/// Size of the file in bytes: a little more than is used, so that a later version may add.
pub const FILE_BYTES: usize = 192 << 10;

/// "VCUDARG3": the form is this one.
pub const MAGIC: u64 = u64::from_le_bytes(*b"VCUDARG3");

/// "VCUDABAD": a process has found a number that none of them had written. It stays so until the container starts again.
pub const DAMAGED: u64 = u64::from_le_bytes(*b"VCUDABAD");

/// Cards that there is room for; a card's place is its place in the limits file.
pub const CARDS: usize = MAX_CARDS_PER_NODE as usize;

/// Where the cards begin.
pub const CARDS_AT: usize = 256;

/// Bytes of a card: two cache lines, so that cards do not slow each other down.
pub const CARD_BYTES: usize = 128;

/// In a card: when the next work may start, ns of `CLOCK_MONOTONIC`.
pub const CARD_TAT: usize = 0;

/// In a card: device time that was charged, in ns.
pub const CARD_BUSY: usize = 8;

/// In a card: time that programs were made to wait for their share, in ns.
pub const CARD_THROTTLED: usize = 16;

/// In a card: allocations that were refused because of the limit.
pub const CARD_REFUSED: usize = 24;

/// Processes that use a card at one time, at most. The next one's CUDA calls fail.
pub const PROCESSES: usize = 256;

/// Where the processes begin.
pub const PROCESSES_AT: usize = 4096;

/// Bytes of a process.
pub const PROCESS_BYTES: usize = 512;

/// Where the ids of the processes are, 8 bytes each: side by side, since every allocation looks which entries are free.
pub const PIDS_AT: usize = process_at(PROCESSES);

/// In a process: when it started, in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
pub const PROCESS_START: usize = 8;

/// In a process: the inode of its PID namespace.
pub const PROCESS_NAMESPACE: usize = 16;

/// In a process: where its stack starts, field 28 of `/proc/<pid>/stat`: another after `execve`.
pub const PROCESS_STACK: usize = 24;

/// In a process: [`mix`](super::seal::mix) of its id, of the three numbers above and of where the process stands.
pub const PROCESS_CHECK: usize = 32;

/// In a process: bytes charged on each card, spilled ones included, [sealed](super::seal::seal).
pub const PROCESS_USED: usize = 64;

/// In a process: bytes of each card that lie in host memory.
pub const PROCESS_SPILLED: usize = 64 + 8 * CARDS;

/// Where a process's entry begins.
#[must_use]
pub const fn process_at(entry: usize) -> usize {
    PROCESSES_AT + entry * PROCESS_BYTES
}

/// Where the id of an entry's process is.
#[must_use]
pub const fn pid_at(entry: usize) -> usize {
    PIDS_AT + 8 * entry
}

const _: () = assert!(PIDS_AT + 8 * PROCESSES <= FILE_BYTES);
const _: () = assert!(CARDS_AT + CARDS * CARD_BYTES <= PROCESSES_AT);
const _: () = assert!(PROCESS_SPILLED + 8 * CARDS <= PROCESS_BYTES);
