//! What the kernel knows of the region and nobody can write into it: its size, and which slots are held by processes that live.
//!
//! Each locks the byte of its slot's number for the open file that it has mapped (`F_OFD_SETLK`, fcntl_locking(2)). That ends when
//! nothing has the file open any more, neither a descriptor, a child's neither, nor a mapping, which outlives its process while
//! somebody reads of it in /proc. The driver knows processes by an open file as well, and so takes memory back at that same moment.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::{AsRawFd as _, FromRawFd as _, IntoRawFd as _, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::Ordering;

use super::FILE;
use super::slot::place;

/// The open file, which is never closed: that would end the lock.
pub(super) struct Witness {
    file: ManuallyDrop<File>,
    opener: u32,
    device: u64,
    inode: u64,
}

impl Witness {
    pub(super) fn new(file: File) -> std::io::Result<Self> {
        let it = file.metadata()?;
        let opener = std::process::id();
        Ok(Self { file: ManuallyDrop::new(file), opener, device: it.dev(), inode: it.ino() })
    }

    /// This process's own. A child of `fork` opens the file itself: through its parent's its locks would be its parent's.
    fn own(&self) -> ManuallyDrop<File> {
        let known = &place().descriptor;
        if known.load(Ordering::Acquire) == 0 {
            let anew = || File::options().read(true).write(true).open(FILE).map(|file| file.into_raw_fd());
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

    /// Holds a slot until this process ends.
    pub(super) fn hold(&self, slot: usize) {
        if self.size().is_some() {
            let mut lock = lock(&(slot..slot + 1));
            // SAFETY: an open file, and a lock on this stack.
            unsafe { libc::fcntl(self.own().as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) };
        }
    }

    /// The first of these slots that another process holds.
    pub(super) fn held(&self, slots: &Range<usize>) -> Option<usize> {
        let mut lock = lock(slots);
        // SAFETY: an open file, and a lock on this stack.
        let asked = unsafe { libc::fcntl(self.own().as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
        let held = asked == 0 && lock.l_type != libc::F_UNLCK as libc::c_short;
        held.then_some(usize::try_from(lock.l_start).ok()?.max(slots.start))
    }

    /// Whether another process holds a slot.
    pub(super) fn is_held(&self, slot: usize) -> bool {
        self.held(&(slot..slot + 1)).is_some()
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
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(4096).unwrap();
        let witness = Witness::new(file.reopen().unwrap()).unwrap();
        witness.hold(3);
        assert_eq!(
            (witness.size(), witness.held(&(0..256))),
            (Some(4096), None),
            "one's own is not another's"
        );
        // Another opening of it is what another process has.
        place().descriptor.store(file.as_raw_fd() + 1, Ordering::Release);
        assert_eq!((witness.held(&(0..256)), witness.is_held(2)), (Some(3), false));
        assert_eq!(Witness { inode: witness.inode + 1, ..witness }.size(), None);
    }
}
