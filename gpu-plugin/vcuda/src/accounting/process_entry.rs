//! What one process uses: its entry, taken at its first allocation, cleared by others once it is gone.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use ideal_gpu::accounting::layout::{
    CARDS, PROCESS_CHECK, PROCESS_NAMESPACE, PROCESS_SPILLED, PROCESS_STACK, PROCESS_START, PROCESS_USED,
    pid_at, process_at,
};
use ideal_gpu::accounting::seal::{mix, seal, unseal};

use super::integrity::Damage;
use super::process_identity::ProcessIdentity;
use super::{Accounting, FutexLock, PROCESSES};
use crate::log;

/// Which entry is this process's. It lies in a page that the kernel gives to a child all zero, so that a child of `fork` takes an entry
/// of its own.
pub(super) struct ForkLocal {
    /// The entry's number plus one, 0 in a process that has none.
    entry: AtomicU32,
    /// The descriptor of the accounting plus one, 0 in a process that has none of its own.
    pub(super) descriptor: AtomicI32,
    /// [`PROCESS_CHECK`] as this process wrote it.
    check: AtomicU64,
    /// This process's id, 0 before it was asked for: a system call that every allocation would make.
    process: AtomicU32,
}

impl ForkLocal {
    pub(super) fn process(&self) -> u32 {
        match self.process.load(Ordering::Relaxed) {
            0 => {
                let id = std::process::id();
                self.process.store(id, Ordering::Relaxed);
                id
            }
            id => id,
        }
    }
}

pub(super) fn fork_local() -> &'static ForkLocal {
    static PAGE: OnceLock<usize> = OnceLock::new();
    static FALLBACK: ForkLocal = ForkLocal {
        entry: AtomicU32::new(0),
        descriptor: AtomicI32::new(0),
        check: AtomicU64::new(0),
        process: AtomicU32::new(0),
    };
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

/// Why a process has no entry.
pub(crate) enum EntryError {
    /// It was said on standard error.
    Refused,
    Damaged,
}

impl From<Damage> for EntryError {
    fn from(_: Damage) -> Self {
        Self::Damaged
    }
}

/// This process's entry; the flag says that it was taken just now.
pub(crate) fn own_entry(accounting: &'static Accounting) -> Result<(ProcessEntry, bool), EntryError> {
    accounting.check_file()?;
    let number = match fork_local().entry.load(Ordering::Acquire) {
        0 => return take_entry(accounting).map(|entry| (entry, true)),
        number => number as usize - 1,
    };
    let entry = accounting.entry(number);
    let check = fork_local().check.load(Ordering::Acquire);
    if entry.is_free() || entry.check().load(Ordering::SeqCst) != check || entry.expected() != check {
        return Err(accounting.damaged("the entry of this process is another's").into());
    }
    Ok((entry, false))
}

fn take_entry(accounting: &'static Accounting) -> Result<ProcessEntry, EntryError> {
    let _lock = FutexLock::new(accounting.lock_word());
    let taken = fork_local().entry.load(Ordering::Acquire);
    if taken != 0 {
        return Ok(accounting.entry(taken as usize - 1));
    }
    accounting.clear_dead()?;
    let Some(me) = ProcessIdentity::of_this_process() else {
        log::error("/proc/self/stat cannot be read. CUDA is refused in this program");
        return Err(EntryError::Refused);
    };
    for number in 0..PROCESSES {
        let entry = accounting.entry(number);
        // Still held by a process that is just about to be gone: not this one.
        if !entry.is_free() || accounting.ofd_locks.is_held(number) {
            continue;
        }
        // The id last: until then nobody looks at the rest, and if this process is killed before, the entry is free.
        entry.clear_numbers();
        entry.start().store(me.start, Ordering::SeqCst);
        entry.namespace().store(me.namespace, Ordering::SeqCst);
        entry.stack().store(me.stack, Ordering::SeqCst);
        let check = entry.check_of(&me);
        entry.check().store(check, Ordering::SeqCst);
        if entry.pid().compare_exchange(0, me.pid, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            accounting.ofd_locks.hold(number);
            fork_local().check.store(check, Ordering::Release);
            fork_local().entry.store(number as u32 + 1, Ordering::Release);
            return Ok(entry);
        }
    }
    log::error(&format!(
        "{PROCESSES} processes of this container use CUDA already. It is refused in this program"
    ));
    Err(EntryError::Refused)
}

impl Accounting {
    /// Frees the entries of processes that are gone; whether there were any.
    pub(crate) fn clear_dead(&'static self) -> Result<bool, Damage> {
        self.check_file()?;
        let mut any = false;
        let own = fork_local().entry.load(Ordering::Acquire) as usize;
        for number in 0..PROCESSES {
            let entry = self.entry(number);
            if entry.is_free() || number + 1 == own {
                continue;
            }
            let it = entry.identity();
            // Whose entry is held has its memory still, whatever can be seen of it. That is asked first: who reads of a process in
            // /proc keeps its mappings.
            if entry.is_sound(&it)?
                && !self.ofd_locks.is_held(number)
                && it.is_gone()
                && entry.pid().compare_exchange(it.pid, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
            {
                any = true;
            }
        }
        Ok(any)
    }
}

/// What one process uses.
#[derive(Clone, Copy)]
pub(crate) struct ProcessEntry {
    accounting: &'static Accounting,
    /// Among the entries.
    number: usize,
}

impl ProcessEntry {
    pub(super) fn new(accounting: &'static Accounting, number: usize) -> Self {
        Self { accounting, number }
    }

    fn at(&self) -> usize {
        process_at(self.number)
    }

    fn pid(&self) -> &'static AtomicU64 {
        self.accounting.number(pid_at(self.number))
    }

    fn start(&self) -> &'static AtomicU64 {
        self.accounting.number(self.at() + PROCESS_START)
    }

    fn namespace(&self) -> &'static AtomicU64 {
        self.accounting.number(self.at() + PROCESS_NAMESPACE)
    }

    fn stack(&self) -> &'static AtomicU64 {
        self.accounting.number(self.at() + PROCESS_STACK)
    }

    fn check(&self) -> &'static AtomicU64 {
        self.accounting.number(self.at() + PROCESS_CHECK)
    }

    pub(super) fn is_free(&self) -> bool {
        self.pid().load(Ordering::SeqCst) == 0
    }

    fn identity(&self) -> ProcessIdentity {
        ProcessIdentity {
            pid: self.pid().load(Ordering::SeqCst),
            start: self.start().load(Ordering::SeqCst),
            namespace: self.namespace().load(Ordering::SeqCst),
            stack: self.stack().load(Ordering::SeqCst),
        }
    }

    fn check_of(&self, it: &ProcessIdentity) -> u64 {
        mix(&[self.at() as u64, it.pid, it.start, it.namespace, it.stack])
    }

    fn expected(&self) -> u64 {
        self.check_of(&self.identity())
    }

    /// Whether a entry that was read is still that process's, and whole; false if it has changed hands or become free meanwhile.
    fn is_sound(&self, it: &ProcessIdentity) -> Result<bool, Damage> {
        let check = self.check().load(Ordering::SeqCst);
        match self.pid().load(Ordering::SeqCst) {
            pid if pid != it.pid || pid == 0 => Ok(false),
            _ if check != self.check_of(it) => Err(self.accounting.damaged("a entry is no process's")),
            _ => Ok(true),
        }
    }

    /// Bytes that its process is charged with on a card; `None` of a entry that is free.
    pub(super) fn charged(&self, card: usize) -> Result<Option<u64>, Damage> {
        while !self.is_free() {
            let it = self.identity();
            let used = self.used(card);
            if self.is_sound(&it)? {
                return used.map(Some);
            }
        }
        Ok(None)
    }

    /// Bytes charged on a card.
    pub(crate) fn used(&self, card: usize) -> Result<u64, Damage> {
        let at = self.at() + PROCESS_USED + 8 * card;
        unseal(self.accounting.number(at).load(Ordering::SeqCst), at)
            .ok_or_else(|| self.accounting.damaged("bytes that nobody was charged with"))
    }

    /// Charges `more` and takes `less` back, in one step.
    pub(crate) fn charge(&self, card: usize, more: u64, less: u64) -> Result<(), Damage> {
        let at = self.at() + PROCESS_USED + 8 * card;
        let next = |word| Some(seal(unseal(word, at)?.saturating_add(more).saturating_sub(less), at));
        match self.accounting.number(at).fetch_update(Ordering::SeqCst, Ordering::SeqCst, next) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.accounting.damaged("bytes that nobody was charged with")),
        }
    }

    /// Bytes of them in host memory.
    pub(crate) fn spilled(&self, card: usize) -> &'static AtomicU64 {
        self.accounting.number(self.at() + PROCESS_SPILLED + 8 * card)
    }

    fn clear_numbers(&self) {
        for card in 0..CARDS {
            let used = self.at() + PROCESS_USED + 8 * card;
            self.accounting.number(used).store(seal(0, used), Ordering::SeqCst);
            self.spilled(card).store(0, Ordering::SeqCst);
        }
    }
}
