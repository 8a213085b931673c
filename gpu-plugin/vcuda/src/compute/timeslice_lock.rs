//! Which container has a card's time slice, among all containers of the machine.
//!
//! A lock of `flock` on a file that every container has, read-only: nobody can write there, and the kernel frees it when the
//! holder dies. A container that waits for a time slice that it is entitled to holds a second lock, so that those who only borrow
//! what is left over see it.

use std::fs::File;
use std::os::fd::{AsRawFd as _, RawFd};
use std::path::Path;

use ideal_gpu::container_paths::TIMESLICE_LOCKS;

/// The files of one card, opened by this process.
#[derive(Debug)]
pub(super) struct TimesliceLock {
    /// Locked by who has the time slice.
    holder: File,
    /// Locked by those who wait for one: a description of its own, as the locks are of the description.
    waiter: File,
}

impl TimesliceLock {
    pub(super) fn open(uuid: &str) -> std::io::Result<Self> {
        let path = Path::new(TIMESLICE_LOCKS).join(uuid);
        Ok(Self { holder: File::open(&path)?, waiter: File::open(&path)? })
    }

    /// Takes the time slice if nobody has it.
    pub(super) fn try_acquire(&self) -> bool {
        // SAFETY: the descriptor is open as long as self.
        unsafe { libc::flock(self.holder.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) == 0 }
    }

    /// Gives it up.
    pub(super) fn release(&self) {
        // SAFETY: as above.
        unsafe { libc::flock(self.holder.as_raw_fd(), libc::LOCK_UN) };
    }

    /// Shows to other containers whether this one waits for a time slice that it is entitled to.
    pub(super) fn set_waiting(&self, waits: bool) {
        let kind = if waits { libc::F_RDLCK } else { libc::F_UNLCK };
        let mut lock = first_byte(kind);
        // SAFETY: the descriptor is open as long as self, and the lock is on this stack.
        unsafe { libc::fcntl(self.waiter.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) };
    }

    /// Whether another container waits for a time slice that it is entitled to. If it cannot be known, yes.
    pub(super) fn is_contended(&self) -> bool {
        let mut lock = first_byte(libc::F_WRLCK);
        // SAFETY: as above.
        let asked = unsafe { libc::fcntl(self.waiter.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
        asked != 0 || i32::from(lock.l_type) != libc::F_UNLCK
    }

    /// The descriptors, for the child of a fork: they are its parent's, and would hold the time slice when the parent is dead.
    pub(super) fn descriptors(&self) -> [RawFd; 2] {
        [self.holder.as_raw_fd(), self.waiter.as_raw_fd()]
    }
}

/// A lock on the first byte of the file.
fn first_byte(kind: libc::c_int) -> libc::flock {
    // SAFETY: a struct of numbers, for which zero is a value. `l_pid` must be 0 for these locks, fcntl(2).
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = i16::try_from(kind).unwrap_or_default();
    lock.l_whence = i16::try_from(libc::SEEK_SET).unwrap_or_default();
    lock.l_len = 1;
    lock
}
