//! Whose turn it is on a card, among all containers of the machine.
//!
//! A lock of `flock` on a file that every container has, read-only: nobody can write there, and the kernel frees it when the
//! holder dies. Who waits for a turn that is due to it holds a second lock, so that those who live on what is left over see it.

use std::fs::File;
use std::os::fd::{AsRawFd as _, RawFd};
use std::path::Path;

use ideal_gpu::container_paths::TIMESLICE_LOCKS;

/// The files of one card, opened by this process.
#[derive(Debug)]
pub(super) struct Turn {
    /// Whose turn it is.
    holder: File,
    /// Who waits for one: a description of its own, as the locks are of the description.
    waiter: File,
}

impl Turn {
    pub(super) fn open(uuid: &str) -> std::io::Result<Self> {
        let path = Path::new(TIMESLICE_LOCKS).join(uuid);
        Ok(Self { holder: File::open(&path)?, waiter: File::open(&path)? })
    }

    /// Takes the turn if nobody has it.
    pub(super) fn take(&self) -> bool {
        // SAFETY: the descriptor is open as long as self.
        unsafe { libc::flock(self.holder.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) == 0 }
    }

    /// Gives it on.
    pub(super) fn give(&self) {
        // SAFETY: as above.
        unsafe { libc::flock(self.holder.as_raw_fd(), libc::LOCK_UN) };
    }

    /// Shows that a turn is due and waited for, or no longer.
    pub(super) fn wait(&self, waits: bool) {
        let kind = if waits { libc::F_RDLCK } else { libc::F_UNLCK };
        let mut lock = lock(kind);
        // SAFETY: the descriptor is open as long as self, and the place is on this stack.
        unsafe { libc::fcntl(self.waiter.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) };
    }

    /// Whether somebody else waits for a turn that is due. If it cannot be known, yes.
    pub(super) fn waited_for(&self) -> bool {
        let mut lock = lock(libc::F_WRLCK);
        // SAFETY: as above.
        let told = unsafe { libc::fcntl(self.waiter.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
        told != 0 || i32::from(lock.l_type) != libc::F_UNLCK
    }

    /// The descriptors, for the child of a fork: they are its parent's, and would hold the turn when the parent is dead.
    pub(super) fn descriptors(&self) -> [RawFd; 2] {
        [self.holder.as_raw_fd(), self.waiter.as_raw_fd()]
    }
}

/// The first byte of the file.
fn lock(kind: libc::c_int) -> libc::flock {
    // SAFETY: a struct of numbers, for which zero is a value. `l_pid` must be 0 for these locks, fcntl(2).
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = i16::try_from(kind).unwrap_or_default();
    lock.l_whence = i16::try_from(libc::SEEK_SET).unwrap_or_default();
    lock.l_len = 1;
    lock
}
