//! What is this process's own and not its child's: it lies in a page that the kernel gives to the child of a `fork` all zero.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// All zero in a process that has used nothing yet.
pub(super) struct ForkLocal {
    /// The number of the process's entry plus one; 0 without an entry.
    entry: AtomicU32,
    /// What the process has written into its entry to recognise it by.
    check: AtomicU64,
    /// The descriptor of the accounting file that is this process's own, plus one; 0 without one.
    pub(super) descriptor: AtomicI32,
    /// The process's id; 0 before it was asked for: a system call that every allocation would make.
    process_id: AtomicU32,
}

impl ForkLocal {
    const fn new() -> Self {
        Self {
            entry: AtomicU32::new(0),
            check: AtomicU64::new(0),
            descriptor: AtomicI32::new(0),
            process_id: AtomicU32::new(0),
        }
    }

    /// The number of the process's entry and its check, if it has an entry.
    pub(super) fn entry(&self) -> Option<(usize, u64)> {
        let number = self.entry.load(Ordering::Acquire).checked_sub(1)?;
        Some((number as usize, self.check.load(Ordering::Acquire)))
    }

    pub(super) fn set_entry(&self, number: usize, check: u64) {
        self.check.store(check, Ordering::Release);
        self.entry.store(number as u32 + 1, Ordering::Release);
    }

    pub(super) fn process_id(&self) -> u32 {
        match self.process_id.load(Ordering::Relaxed) {
            0 => {
                let id = std::process::id();
                self.process_id.store(id, Ordering::Relaxed);
                id
            }
            id => id,
        }
    }
}

/// The id of this process.
pub(crate) fn process_id() -> u32 {
    fork_local().process_id()
}

/// This process's.
pub(super) fn fork_local() -> &'static ForkLocal {
    static PAGE: OnceLock<usize> = OnceLock::new();
    static FALLBACK: ForkLocal = ForkLocal::new();
    let make = || {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new private page; nothing of ours lies there. It is never unmapped.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return 0;
        }
        // SAFETY: the page that was just made. Kernels before 4.14 refuse, and then a child keeps its parent's entry.
        unsafe { libc::madvise(page, 4096, libc::MADV_WIPEONFORK) };
        page as usize
    };
    let page = *PAGE.get_or_init(make) as *const ForkLocal;
    // SAFETY: null, or a page of ours, aligned, that lives as long as the process and is used as these atomics only.
    unsafe { page.as_ref() }.unwrap_or(&FALLBACK)
}
