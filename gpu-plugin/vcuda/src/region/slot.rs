//! The slot of this process: taken at its first allocation, cleared by others once it is gone.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::identity::Identity;
use super::{Lock, Region, SLOTS, Slot};
use crate::limits::say;

/// Place of this process's slot plus one, 0 in one that has none. It lies in a page that the kernel gives to a child all zero,
/// so that a child of `fork` takes a slot of its own.
fn place() -> &'static AtomicU32 {
    static PAGE: OnceLock<usize> = OnceLock::new();
    static FALLBACK: AtomicU32 = AtomicU32::new(0);
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
    let page = *PAGE.get_or_init(make) as *const AtomicU32;
    // SAFETY: null, or a page of ours, aligned, that lives as long as the process and is used as this atomic only.
    unsafe { page.as_ref() }.unwrap_or(&FALLBACK)
}

/// This process's slot; the flag says that it was taken just now. `None` if all are in use.
pub(crate) fn own(region: &'static Region) -> Option<(Slot, bool)> {
    match place().load(Ordering::Acquire) {
        0 => take(region).map(|slot| (slot, true)),
        place => Some((region.slot(place as usize - 1), false)),
    }
}

fn take(region: &'static Region) -> Option<Slot> {
    let _lock = Lock::new(region.lock_word());
    let taken = place().load(Ordering::Acquire);
    if taken != 0 {
        return Some(region.slot(taken as usize - 1));
    }
    region.clear_gone();
    let Some(me) = Identity::own() else {
        say("/proc/self/stat cannot be read. CUDA is refused in this program");
        return None;
    };
    for (place_plus_one, slot) in (1..).zip((0..SLOTS).map(|slot| region.slot(slot))) {
        if slot.pid().load(Ordering::SeqCst) == 0 {
            // The id last: until then nobody looks at the rest, and if this process is killed before, the slot is free.
            slot.clear_numbers();
            slot.start().store(me.start, Ordering::SeqCst);
            slot.namespace().store(me.namespace, Ordering::SeqCst);
            slot.stack().store(me.stack, Ordering::SeqCst);
            if slot.pid().compare_exchange(0, me.pid, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                place().store(place_plus_one, Ordering::Release);
                return Some(slot);
            }
        }
    }
    say(&format!("{SLOTS} processes of this container use CUDA already. It is refused in this program"));
    None
}

impl Region {
    /// Frees the slots of processes that are gone; whether there were any.
    pub(crate) fn clear_gone(&'static self) -> bool {
        let mut any = false;
        for slot in (0..SLOTS).map(|slot| self.slot(slot)) {
            let pid = slot.pid().load(Ordering::SeqCst);
            if pid == 0 {
                continue;
            }
            let it = Identity {
                pid,
                start: slot.start().load(Ordering::SeqCst),
                namespace: slot.namespace().load(Ordering::SeqCst),
                stack: slot.stack().load(Ordering::SeqCst),
            };
            if it.gone() && slot.pid().compare_exchange(pid, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                any = true;
            }
        }
        any
    }
}

impl Slot {
    fn clear_numbers(&self) {
        for card in 0..ideal_gpu::region::CARDS {
            self.used(card).store(0, Ordering::SeqCst);
            self.spilled(card).store(0, Ordering::SeqCst);
        }
    }
}
