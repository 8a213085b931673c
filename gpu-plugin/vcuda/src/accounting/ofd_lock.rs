//! What the kernel knows of the accounting file and nobody can write into it: its size, and which entries living processes hold.
//!
//! Each locks the byte of its entry's number for the open file that it has mapped (`F_OFD_SETLK`, fcntl_locking(2)). That ends when
//! nothing has the file open any more, neither a descriptor, a child's neither, nor a mapping, which outlives its process while
//! somebody reads of it in /proc. The driver knows processes by an open file as well, and so takes memory back at that same moment.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::{AsRawFd as _, FromRawFd as _, IntoRawFd as _, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::Ordering;

use ideal_gpu::container_paths::ACCOUNTING;

use super::fork_local::fork_local;

/// The open file, which is never closed: that would end the lock.
pub(super) struct OfdLocks {
    file: ManuallyDrop<File>,
    opener: u32,
    device: u64,
    inode: u64,
}

impl OfdLocks {
    pub(super) fn new(file: File) -> std::io::Result<Self> {
        let it = file.metadata()?;
        let opener = std::process::id();
        Ok(Self { file: ManuallyDrop::new(file), opener, device: it.dev(), inode: it.ino() })
    }

    /// This process's own. A child of `fork` opens the file itself: through its parent's its locks would be its parent's.
    fn own(&self) -> ManuallyDrop<File> {
        let known = &fork_local().descriptor;
        if known.load(Ordering::Acquire) == 0 {
            let anew =
                || File::options().read(true).write(true).open(ACCOUNTING).map(|file| file.into_raw_fd());
            let inherited = self.file.as_raw_fd();
            let own = if std::process::id() == self.opener { inherited } else { anew().unwrap_or(inherited) };
            known.store(own + 1, Ordering::Release);
        }
        let descriptor: RawFd = known.load(Ordering::Acquire) - 1;
        // SAFETY: whatever the program has done with the descriptor, it is not closed here.
        ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) })
    }

    /// Its size in bytes; `None` where it cannot be known. A program may close all descriptors that it does not know, and then this
    /// one is another file's.
    pub(super) fn size(&self) -> Option<u64> {
        let it = self.own().metadata().ok()?;
        (it.dev() == self.device && it.ino() == self.inode).then_some(it.len())
    }

    /// Holds an entry until this process ends.
    pub(super) fn hold(&self, entry: usize) {
        if self.size().is_some() {
            let mut lock = byte_lock(&(entry..entry + 1));
            // SAFETY: an open file, and a lock on this stack.
            unsafe { libc::fcntl(self.own().as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) };
        }
    }

    /// The first of these entries that another process holds.
    pub(super) fn first_held(&self, entries: &Range<usize>) -> Option<usize> {
        let mut lock = byte_lock(entries);
        // SAFETY: an open file, and a lock on this stack.
        let asked = unsafe { libc::fcntl(self.own().as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
        let held = asked == 0 && lock.l_type != libc::F_UNLCK as libc::c_short;
        held.then_some(usize::try_from(lock.l_start).ok()?.max(entries.start))
    }

    /// Whether another process holds an entry.
    pub(super) fn is_held(&self, entry: usize) -> bool {
        self.first_held(&(entry..entry + 1)).is_some()
    }
}

fn byte_lock(entries: &Range<usize>) -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: entries.start as libc::off_t,
        l_len: entries.len() as libc::off_t,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_held_by_its_process_alone_and_a_descriptor_of_another_file_tells_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(4096).unwrap();
        let ofd_locks = OfdLocks::new(file.reopen().unwrap()).unwrap();
        ofd_locks.hold(3);
        assert_eq!(
            (ofd_locks.size(), ofd_locks.first_held(&(0..256))),
            (Some(4096), None),
            "one's own is not another's"
        );
        // Another opening of it is what another process has.
        fork_local().descriptor.store(file.as_raw_fd() + 1, Ordering::Release);
        assert_eq!((ofd_locks.first_held(&(0..256)), ofd_locks.is_held(2)), (Some(3), false));
        assert_eq!(OfdLocks { inode: ofd_locks.inode + 1, ..ofd_locks }.size(), None);
    }
}
