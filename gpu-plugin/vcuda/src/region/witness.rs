//! What the kernel knows of the region and nobody can write into it: its size, and which slots are held by processes that live.
//! Each holds a lock of its own on the byte of its slot's number. Such a lock (POSIX's: fcntl_locking(2)) ends with its process and
//! is not a child's.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

/// The open file, which is never closed: that would end the lock.
pub(super) struct Witness {
    file: ManuallyDrop<File>,
    device: u64,
    inode: u64,
}

impl Witness {
    pub(super) fn new(file: File) -> std::io::Result<Self> {
        let it = file.metadata()?;
        Ok(Self { file: ManuallyDrop::new(file), device: it.dev(), inode: it.ino() })
    }

    /// Its size in bytes; `None` where it cannot be known. A program may close all descriptors that it does not know, and then this
    /// one is another file's.
    pub(super) fn size(&self) -> Option<u64> {
        let it = self.file.metadata().ok()?;
        (it.dev() == self.device && it.ino() == self.inode).then_some(it.len())
    }

    /// Holds a slot until this process ends.
    pub(super) fn hold(&self, slot: usize) {
        if self.size().is_some() {
            let mut lock = lock(&(slot..slot + 1));
            // SAFETY: an open file, and a lock on this stack.
            unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_SETLK, &raw mut lock) };
        }
    }

    /// The first of these slots that another process holds, and its id.
    pub(super) fn holder(&self, slots: &Range<usize>) -> Option<(usize, i32)> {
        let mut lock = lock(slots);
        // SAFETY: an open file, and a lock on this stack.
        let asked = unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_GETLK, &raw mut lock) };
        let held = asked == 0 && lock.l_type != libc::F_UNLCK as libc::c_short;
        held.then_some((usize::try_from(lock.l_start).ok()?.max(slots.start), lock.l_pid))
    }
}

fn lock(slots: &Range<usize>) -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: slots.start as libc::off_t,
        l_len: slots.len() as libc::off_t,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_held_by_its_process_alone_and_a_descriptor_of_another_file_tells_nothing() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let witness = Witness::new(file).unwrap();
        witness.hold(3);
        assert_eq!(
            (witness.size(), witness.holder(&(0..256))),
            (Some(4096), None),
            "one's own is not another's"
        );
        assert_eq!(Witness { inode: witness.inode + 1, ..witness }.size(), None);
    }
}
