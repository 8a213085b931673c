//! The accounting of this container, mapped: what its processes share. The layout is `ideal_gpu::accounting`'s.
//!
//! Exact under SIGKILL at any instruction: what a process uses stands in its own entry and nowhere else, each number is written
//! whole, and a entry whose process is gone counts until somebody clears it, never the other way round.
//!
//! The programs of the container may write into the file. What none of these functions has written is found (`integrity`), and then
//! nobody may use CUDA until the container starts again. Who forges numbers that are right is not found: such a program could as
//! well change this library in its own memory.

use std::os::fd::AsRawFd as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64};

use ideal_gpu::accounting::layout::{
    CARD_BUSY, CARD_BYTES, CARD_REFUSED, CARD_TAT, CARD_THROTTLED, CARDS_AT, DAMAGED, FILE_BYTES, MAGIC,
    PROCESSES,
};
use ideal_gpu::container_paths::ACCOUNTING as FILE;

use crate::log;

mod futex_lock;
mod integrity;
mod ofd_lock;
mod process_entry;
mod process_identity;

use futex_lock::FutexLock;
pub(crate) use integrity::Damage;
use ofd_lock::OfdLocks;
pub(crate) use process_entry::{ProcessEntry, own_entry};

/// Offset of the lock's word.
const LOCK_AT: usize = 8;

/// The mapped file.
pub(crate) struct Accounting {
    base: *const u8,
    ofd_locks: OfdLocks,
}

// SAFETY: what is behind the pointer is only ever used as atomic numbers.
unsafe impl Send for Accounting {}
// SAFETY: as above.
unsafe impl Sync for Accounting {}

/// The accounting, or `None` where nothing may be done: then it was said on standard error why.
pub(crate) fn get() -> Option<&'static Accounting> {
    static OPENED: OnceLock<Option<Accounting>> = OnceLock::new();
    let open = || match Accounting::open() {
        Ok(accounting) => Some(accounting),
        Err(why) => {
            log::error(&format!("{FILE}: {why}. CUDA is refused in this program"));
            None
        }
    };
    OPENED.get_or_init(open).as_ref()
}

impl Accounting {
    fn open() -> Result<Self, String> {
        let file =
            std::fs::File::options().read(true).write(true).open(FILE).map_err(|error| error.to_string())?;
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        if length != FILE_BYTES as u64 {
            return Err(format!("{length} bytes, not {FILE_BYTES}: it is not the accounting of a container"));
        }
        // SAFETY: a new shared mapping of a file that was just opened; nothing of ours lies there. It is never unmapped.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                FILE_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error().to_string());
        }
        let ofd_locks = OfdLocks::new(file).map_err(|error| error.to_string())?;
        let accounting = Self { base: base.cast::<u8>(), ofd_locks };
        accounting.begin()?;
        Ok(accounting)
    }

    fn number(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at + 8 <= FILE_BYTES && at.is_multiple_of(8));
        // SAFETY: inside the mapping, which lives as long as the process, and aligned: every offset of the layout is a multiple
        // of 8. Other processes change it as an atomic too.
        unsafe { &*self.base.add(at).cast::<AtomicU64>() }
    }

    fn lock_word(&'static self) -> &'static AtomicU32 {
        // SAFETY: as in `number`; the lock uses the first half of its eight bytes.
        unsafe { &*self.base.add(LOCK_AT).cast::<AtomicU32>() }
    }

    /// One at a time over the sums.
    pub(crate) fn lock(&'static self) -> FutexLock {
        FutexLock::new(self.lock_word())
    }

    /// What all processes share of a card.
    pub(crate) fn card(&'static self, card: usize) -> CardCounters {
        let at = CARDS_AT + card * CARD_BYTES;
        CardCounters {
            tat: self.number(at + CARD_TAT),
            busy_ns: self.number(at + CARD_BUSY),
            throttled_ns: self.number(at + CARD_THROTTLED),
            refused: self.number(at + CARD_REFUSED),
        }
    }

    fn entry(&'static self, entry: usize) -> ProcessEntry {
        ProcessEntry::new(self, entry)
    }
}

/// What all processes share of a card.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CardCounters {
    /// When the next work may start, ns of `CLOCK_MONOTONIC`.
    pub(crate) tat: &'static AtomicU64,
    /// Device time charged, in ns.
    pub(crate) busy_ns: &'static AtomicU64,
    /// Time made to wait, in ns.
    pub(crate) throttled_ns: &'static AtomicU64,
    /// Allocations refused because of the limit.
    pub(crate) refused: &'static AtomicU64,
}
