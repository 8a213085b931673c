//! Names that come and go in a folder, as the kernel tells them (inotify): for code that blocks, and for tasks.
//!
//! A crate of its own, and no part of `serve`: what runs on a node needs it, and the programs that never touch the machine
//! shall not link `nix`. Who is told of a change looks for himself what has changed: events can be lost, so a look is due now
//! and then without one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::net::unix::pipe::Receiver;

/// A folder that is watched. Its descriptor is readable after a change.
#[derive(Debug)]
pub struct FolderWatch(Inotify);

impl FolderWatch {
    /// Watches `folder` for names that appear, disappear, or are moved in or out. An error of the kernel's: the folder does
    /// not exist, or there are too many watches.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let changes = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVE;
        inotify.add_watch(folder, changes)?;
        Ok(Self(inotify))
    }

    /// Reads away what has been told; never waits.
    pub fn drain(&self) {
        while self.0.read_events().is_ok_and(|events| !events.is_empty()) {}
    }
}

impl AsFd for FolderWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The same for a task.
#[derive(Debug)]
pub struct FolderChanges(Receiver);

impl FolderChanges {
    /// As [`FolderWatch::new`]; needs a runtime of tokio's.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let watch = FolderWatch::new(folder)?;
        // To the runtime it is something to read from, like a pipe.
        Receiver::from_owned_fd_unchecked(watch.as_fd().try_clone_to_owned()?).map(Self)
    }

    /// Returns after a change, at once if there was one since the last call, or when `patience` has passed.
    pub async fn next(&self, patience: Duration) {
        if tokio::time::timeout(patience, self.0.readable()).await.is_ok() {
            let mut events = [0; 4096];
            while self.0.try_read(&mut events).is_ok_and(|bytes| bytes > 0) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Longer than any test runs.
    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn a_name_that_appears_or_goes_ends_the_wait() {
        let dir = tempfile::tempdir().unwrap();
        let changes = FolderChanges::new(dir.path()).unwrap();
        let started = Instant::now();
        std::fs::write(dir.path().join("csi.sock"), "").unwrap();
        changes.next(LONG).await;
        std::fs::remove_file(dir.path().join("csi.sock")).unwrap();
        changes.next(LONG).await;
        assert!(started.elapsed() < LONG);
    }

    #[tokio::test]
    async fn what_was_told_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let changes = FolderChanges::new(dir.path()).unwrap();
        std::fs::write(dir.path().join("csi.sock"), "").unwrap();
        changes.next(LONG).await;
        let quiet = tokio::time::timeout(Duration::from_millis(20), changes.next(LONG)).await;
        assert!(quiet.is_err(), "nothing has changed since");
    }

    #[test]
    fn a_folder_that_is_not_there_cannot_be_watched() {
        let dir = tempfile::tempdir().unwrap();
        let error = FolderWatch::new(&dir.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
