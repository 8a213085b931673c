//! The connection of this process to the node's arbiter, for one card.
//!
//! A program may close descriptors that are not its own, and open others under their numbers: before each use it is looked whether the
//! descriptor is still the socket, and if not there is no connection.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ideal_gpu::arbiter_protocol::{FRAME, Grant, Request, VERSION};
use ideal_gpu::container_paths::{ARBITER, ARBITER_SOCKET};

use super::clock;
use crate::sync::AtomicU64;

/// How often, in ns, it is tried to connect while there is no arbiter: so soon its grants are those that count again.
const RETRY: u64 = 50_000_000;

/// What the arbiter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Granted(Grant),
    Nothing,
    /// There is no arbiter now.
    Away,
}

/// The socket's descriptor, for the child of a fork; with the number of its inode, which tells whether it is still that.
#[derive(Debug, Default)]
pub(super) struct Descriptor {
    /// One more than the descriptor; 0: none.
    number: AtomicU64,
    inode: AtomicU64,
}

impl Descriptor {
    /// The descriptor, if it is still the socket.
    fn get(&self) -> Option<RawFd> {
        let fd = RawFd::try_from(self.number.load(Ordering::SeqCst).checked_sub(1)?).ok()?;
        (inode(fd) == Some(self.inode.load(Ordering::SeqCst))).then_some(fd)
    }

    fn set(&self, fd: RawFd) {
        self.inode.store(inode(fd).unwrap_or_default(), Ordering::SeqCst);
        self.number.store(u64::try_from(fd).map_or(0, |fd| fd + 1), Ordering::SeqCst);
    }

    /// Closes it. May be called in the child of a fork.
    pub(super) fn close(&self) {
        if let Some(fd) = self.get() {
            // SAFETY: the socket, which nobody else closes.
            unsafe { libc::close(fd) };
        }
        self.number.store(0, Ordering::SeqCst);
    }
}

/// The inode of a socket.
fn inode(fd: RawFd) -> Option<u64> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: what it writes to is on this stack, and it is read only if it was written.
    let stat = unsafe { (libc::fstat(fd, stat.as_mut_ptr()) == 0).then(|| stat.assume_init()) }?;
    (stat.st_mode & libc::S_IFMT == libc::S_IFSOCK).then_some(stat.st_ino)
}

/// The arbiter.
#[derive(Debug)]
pub(super) struct Arbiter {
    card: u32,
    descriptor: &'static Descriptor,
    next_try: u64,
}

impl Arbiter {
    /// Of the card at this place of the limits; not connected yet.
    pub(super) fn new(card: usize, descriptor: &'static Descriptor) -> Self {
        Self { card: u32::try_from(card).unwrap_or(u32::MAX), descriptor, next_try: 0 }
    }

    /// Says that a launch waits; false if there is no arbiter.
    pub(super) fn want(&mut self) -> bool {
        (self.descriptor.get().is_some() || self.connect()) && self.say(Request::Want)
    }

    /// Says that the card is done; false if there is no arbiter.
    pub(super) fn done(&mut self, grant: u64, wants: bool) -> bool {
        self.say(Request::Done { grant, wants })
    }

    /// Waits for so long for what is said.
    pub(super) fn wait(&mut self, longest: Duration) -> Answer {
        let Some(fd) = self.descriptor.get() else { return Answer::Away };
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let millis = libc::c_int::try_from(longest.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: one element, on this stack.
        unsafe { libc::poll(&raw mut poll, 1, millis) };
        self.look()
    }

    /// What was said meanwhile.
    pub(super) fn look(&mut self) -> Answer {
        let Some(fd) = self.descriptor.get() else { return Answer::Away };
        let mut frame = [0_u8; FRAME];
        // SAFETY: what it writes to is on this stack, and as long as it says.
        let got = unsafe { libc::recv(fd, frame.as_mut_ptr().cast(), FRAME, libc::MSG_DONTWAIT) };
        match (usize::try_from(got), Grant::from_frame(&frame)) {
            (Ok(FRAME), Some(grant)) => Answer::Granted(grant),
            (Err(_), _) if would_block() => Answer::Nothing,
            // It has closed, or is none that we understand.
            _ => self.away(),
        }
    }

    fn away(&mut self) -> Answer {
        self.descriptor.close();
        Answer::Away
    }

    fn say(&mut self, request: Request) -> bool {
        let Some(fd) = self.descriptor.get() else { return false };
        let frame = request.to_frame();
        // SAFETY: the frame is on this stack, and as long as it says.
        let sent =
            unsafe { libc::send(fd, frame.as_ptr().cast(), FRAME, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
        if usize::try_from(sent) != Ok(FRAME) {
            self.away();
            return false;
        }
        true
    }

    fn connect(&mut self) -> bool {
        let now = clock::now();
        if now < self.next_try {
            return false;
        }
        self.next_try = now + RETRY;
        let Some(fd) = connected() else { return false };
        self.descriptor.set(fd);
        self.say(Request::Join { version: VERSION, card: self.card })
    }
}

fn would_block() -> bool {
    matches!(
        std::io::Error::last_os_error().kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted
    )
}

/// A socket that is connected to the arbiter. One whose queue is full does not answer, and is not waited for.
fn connected() -> Option<RawFd> {
    let path = CString::new(format!("{ARBITER}/{ARBITER_SOCKET}")).ok()?;
    // SAFETY: a struct of numbers, for which zero is a value.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).ok()?;
    for (to, from) in address.sun_path.iter_mut().zip(path.as_bytes_with_nul()) {
        *to = from.cast_signed();
    }
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: three numbers.
    let fd = unsafe { libc::socket(libc::AF_UNIX, kind, 0) };
    if fd < 0 {
        return None;
    }
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_un>()).ok()?;
    // SAFETY: the address is on this stack, and as long as it says; the descriptor is open.
    let connected = unsafe { libc::connect(fd, (&raw const address).cast(), length) == 0 };
    if !connected {
        // SAFETY: it was opened above, and nobody else has it.
        unsafe { libc::close(fd) };
    }
    connected.then_some(fd)
}
