//! Waiting for the kernel to show, change or hide a disk: uevents, and changes of the folder that disks appear in.
//!
//! The socket is opened before the first look, so that nothing that happens between a look and the wait is missed.

use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use folder_watch::FolderWatch;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use tracing::debug;

/// The multicast group of the kernel's own uevents (netlink: udevd's is 2).
const KERNEL_GROUP: u32 = 1;

/// A look is due after this long even without an event: the kernel drops events when the socket's queue is full.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// A subscription.
pub(super) struct Events {
    uevents: Option<OwnedFd>,
    folder: Option<FolderWatch>,
}

impl Events {
    /// Listens for uevents and for changes in `folder`. What cannot be had is done without: then [`POLL_INTERVAL`] paces.
    pub(super) fn subscribe(folder: &Path) -> Self {
        let uevents = uevents().inspect_err(|errno| debug!(%errno, "No uevents")).ok();
        let folder = FolderWatch::new(folder).inspect_err(|error| debug!(%error, "No folder events")).ok();
        Self { uevents, folder }
    }

    /// Returns when something happened, or after a while, at `deadline` at the latest.
    pub(super) fn wait(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now()).min(POLL_INTERVAL);
        let handles = self.uevents.iter().map(AsFd::as_fd).chain(self.folder.iter().map(AsFd::as_fd));
        let mut fds: Vec<PollFd<'_>> = handles.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        // An interrupted wait is a look too many, no harm.
        let _ = poll(&mut fds, timeout);
        self.drain();
    }

    fn drain(&self) {
        use std::os::fd::AsRawFd as _;
        let mut buffer = [0; 4096];
        if let Some(socket) = &self.uevents {
            while recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT).is_ok_and(|n| n > 0) {}
        }
        if let Some(folder) = &self.folder {
            folder.drain();
        }
    }
}

fn uevents() -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let protocol = SockProtocol::NetlinkKObjectUEvent;
    let fd = socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?;
    use std::os::fd::AsRawFd as _;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_appears_ends_the_wait() {
        let dir = tempfile::tempdir().unwrap();
        let events = Events::subscribe(dir.path());
        let (started, deadline) = (Instant::now(), Instant::now() + Duration::from_secs(60));
        std::fs::create_dir(dir.path().join("vdb")).unwrap();
        events.wait(deadline);
        assert!(started.elapsed() < POLL_INTERVAL, "{:?}", started.elapsed());
    }
}
