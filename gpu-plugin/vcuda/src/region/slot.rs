//! What one process uses: its slot, taken at its first allocation, cleared by others once it is gone.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use ideal_gpu::accounting::layout::{
    CARDS, PROCESS_CHECK, PROCESS_NAMESPACE, PROCESS_SPILLED, PROCESS_STACK, PROCESS_START, PROCESS_USED,
    pid_at, process_at,
};
use ideal_gpu::accounting::seal::{mix, seal, unseal};

use super::audit::Damage;
use super::identity::Identity;
use super::{Lock, PROCESSES, Region};
use crate::log;

/// Which slot is this process's. It lies in a page that the kernel gives to a child all zero, so that a child of `fork` takes a slot
/// of its own.
pub(super) struct Place {
    /// The slot's number plus one, 0 in a process that has none.
    slot: AtomicU32,
    /// The descriptor of the region plus one, 0 in a process that has none of its own.
    pub(super) descriptor: AtomicI32,
    /// [`PROCESS_CHECK`] as this process wrote it.
    check: AtomicU64,
    /// This process's id, 0 before it was asked for: a system call that every allocation would make.
    process: AtomicU32,
}

impl Place {
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

pub(super) fn place() -> &'static Place {
    static PAGE: OnceLock<usize> = OnceLock::new();
    static FALLBACK: Place = Place {
        slot: AtomicU32::new(0),
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
        // SAFETY: the page that was just made. Kernels before 4.14 refuse, and then a child keeps its parent's slot.
        unsafe { libc::madvise(page, 4096, libc::MADV_WIPEONFORK) };
        page as usize
    };
    let page = *PAGE.get_or_init(make) as *const Place;
    // SAFETY: null, or a page of ours, aligned, that lives as long as the process and is used as these atomics only.
    unsafe { page.as_ref() }.unwrap_or(&FALLBACK)
}

/// Why a process has no slot.
pub(crate) enum NoSlot {
    /// It was said on standard error.
    Refused,
    Damaged,
}

impl From<Damage> for NoSlot {
    fn from(_: Damage) -> Self {
        Self::Damaged
    }
}

/// This process's slot; the flag says that it was taken just now.
pub(crate) fn own(region: &'static Region) -> Result<(Slot, bool), NoSlot> {
    region.whole()?;
    let number = match place().slot.load(Ordering::Acquire) {
        0 => return take(region).map(|slot| (slot, true)),
        number => number as usize - 1,
    };
    let slot = region.slot(number);
    let check = place().check.load(Ordering::Acquire);
    if slot.is_free() || slot.check().load(Ordering::SeqCst) != check || slot.expected() != check {
        return Err(region.damaged("the slot of this process is another's").into());
    }
    Ok((slot, false))
}

fn take(region: &'static Region) -> Result<Slot, NoSlot> {
    let _lock = Lock::new(region.lock_word());
    let taken = place().slot.load(Ordering::Acquire);
    if taken != 0 {
        return Ok(region.slot(taken as usize - 1));
    }
    region.clear_gone()?;
    let Some(me) = Identity::own() else {
        log::error("/proc/self/stat cannot be read. CUDA is refused in this program");
        return Err(NoSlot::Refused);
    };
    for number in 0..PROCESSES {
        let slot = region.slot(number);
        // Still held by a process that is just about to be gone: not this one.
        if !slot.is_free() || region.witness.is_held(number) {
            continue;
        }
        // The id last: until then nobody looks at the rest, and if this process is killed before, the slot is free.
        slot.clear_numbers();
        slot.start().store(me.start, Ordering::SeqCst);
        slot.namespace().store(me.namespace, Ordering::SeqCst);
        slot.stack().store(me.stack, Ordering::SeqCst);
        let check = slot.check_of(&me);
        slot.check().store(check, Ordering::SeqCst);
        if slot.pid().compare_exchange(0, me.pid, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            region.witness.hold(number);
            place().check.store(check, Ordering::Release);
            place().slot.store(number as u32 + 1, Ordering::Release);
            return Ok(slot);
        }
    }
    log::error(&format!(
        "{PROCESSES} processes of this container use CUDA already. It is refused in this program"
    ));
    Err(NoSlot::Refused)
}

impl Region {
    /// Frees the slots of processes that are gone; whether there were any.
    pub(crate) fn clear_gone(&'static self) -> Result<bool, Damage> {
        self.whole()?;
        let mut any = false;
        let own = place().slot.load(Ordering::Acquire) as usize;
        for number in 0..PROCESSES {
            let slot = self.slot(number);
            if slot.is_free() || number + 1 == own {
                continue;
            }
            let it = slot.identity();
            // Whose slot is held has its memory still, whatever can be seen of it. That is asked first: who reads of a process in
            // /proc keeps its mappings.
            if slot.is_sound(&it)?
                && !self.witness.is_held(number)
                && it.gone()
                && slot.pid().compare_exchange(it.pid, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
            {
                any = true;
            }
        }
        Ok(any)
    }
}

/// What one process uses.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    region: &'static Region,
    /// Among the slots.
    number: usize,
}

impl Slot {
    pub(super) fn new(region: &'static Region, number: usize) -> Self {
        Self { region, number }
    }

    fn at(&self) -> usize {
        process_at(self.number)
    }

    fn pid(&self) -> &'static AtomicU64 {
        self.region.number(pid_at(self.number))
    }

    fn start(&self) -> &'static AtomicU64 {
        self.region.number(self.at() + PROCESS_START)
    }

    fn namespace(&self) -> &'static AtomicU64 {
        self.region.number(self.at() + PROCESS_NAMESPACE)
    }

    fn stack(&self) -> &'static AtomicU64 {
        self.region.number(self.at() + PROCESS_STACK)
    }

    fn check(&self) -> &'static AtomicU64 {
        self.region.number(self.at() + PROCESS_CHECK)
    }

    pub(super) fn is_free(&self) -> bool {
        self.pid().load(Ordering::SeqCst) == 0
    }

    fn identity(&self) -> Identity {
        Identity {
            pid: self.pid().load(Ordering::SeqCst),
            start: self.start().load(Ordering::SeqCst),
            namespace: self.namespace().load(Ordering::SeqCst),
            stack: self.stack().load(Ordering::SeqCst),
        }
    }

    fn check_of(&self, it: &Identity) -> u64 {
        mix(&[self.at() as u64, it.pid, it.start, it.namespace, it.stack])
    }

    fn expected(&self) -> u64 {
        self.check_of(&self.identity())
    }

    /// Whether a slot that was read is still that process's, and whole; false if it has changed hands or become free meanwhile.
    fn is_sound(&self, it: &Identity) -> Result<bool, Damage> {
        let check = self.check().load(Ordering::SeqCst);
        match self.pid().load(Ordering::SeqCst) {
            pid if pid != it.pid || pid == 0 => Ok(false),
            _ if check != self.check_of(it) => Err(self.region.damaged("a slot is no process's")),
            _ => Ok(true),
        }
    }

    /// Bytes that its process is charged with on a card; `None` of a slot that is free.
    pub(super) fn stated(&self, place: usize) -> Result<Option<u64>, Damage> {
        while !self.is_free() {
            let it = self.identity();
            let used = self.used(place);
            if self.is_sound(&it)? {
                return used.map(Some);
            }
        }
        Ok(None)
    }

    /// Bytes charged on the card at a place.
    pub(crate) fn used(&self, place: usize) -> Result<u64, Damage> {
        let at = self.at() + PROCESS_USED + 8 * place;
        unseal(self.region.number(at).load(Ordering::SeqCst), at)
            .ok_or_else(|| self.region.damaged("bytes that nobody was charged with"))
    }

    /// Charges `more` and takes `less` back, in one step.
    pub(crate) fn charge(&self, place: usize, more: u64, less: u64) -> Result<(), Damage> {
        let at = self.at() + PROCESS_USED + 8 * place;
        let next = |word| Some(seal(unseal(word, at)?.saturating_add(more).saturating_sub(less), at));
        match self.region.number(at).fetch_update(Ordering::SeqCst, Ordering::SeqCst, next) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.region.damaged("bytes that nobody was charged with")),
        }
    }

    /// Bytes of them in host memory.
    pub(crate) fn spilled(&self, place: usize) -> &'static AtomicU64 {
        self.region.number(self.at() + PROCESS_SPILLED + 8 * place)
    }

    fn clear_numbers(&self) {
        for card in 0..CARDS {
            let used = self.at() + PROCESS_USED + 8 * card;
            self.region.number(used).store(seal(0, used), Ordering::SeqCst);
            self.spilled(card).store(0, Ordering::SeqCst);
        }
    }
}
