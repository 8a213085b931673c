//! A card as all processes of the machine share it: a file that each maps.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::abi::CudaError;

mod work;

/// Processes that can use a card at one time.
const RECORDS: usize = 1023;

/// The header, and with it where the records begin.
const HEADER: usize = 4096;

/// In the header: until when the card's work is reckoned, the most bytes that were ever held at one time, and how many records were ever
/// used.
const RECKONED: usize = 0;
const MOST: usize = 8;
const USED_RECORDS: usize = 16;

/// Bytes of a record: four numbers.
const RECORD: usize = 32;

/// The numbers of a record: the process's id as it sees it, the clock tick that it started at, bytes, and ns of work that the card has done.
const PID: usize = 0;
const START: usize = 1;
const BYTES: usize = 2;
const BUSY: usize = 3;

/// Where, behind the records, it stands how many ns of work each process has given the card: a number each.
const GIVEN: usize = HEADER + RECORDS * RECORD;

/// Then, of each process, whether it is on the card and waits for another one there.
const MEETS: usize = GIVEN + RECORDS * 8;

const SIZE: usize = MEETS + RECORDS * 8;

/// `F_OFD_GETLK` and `F_OFD_SETLK`, `F_WRLCK`, `F_UNLCK`, `LOCK_EX`, `LOCK_UN`: Linux, asm-generic/fcntl.h and file.h.
const OFD_GETLK: c_int = 36;
const OFD_SETLK: c_int = 37;
const WRLCK: i16 = 1;
const UNLCK: i16 = 2;
const LOCK_EX: c_int = 2;
const LOCK_UN: c_int = 8;

#[repr(C)]
struct Flock {
    kind: i16,
    whence: i16,
    start: i64,
    length: i64,
    pid: i32,
}

unsafe extern "C" {
    fn mmap(
        at: *mut c_void,
        size: usize,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn munmap(at: *mut c_void, size: usize) -> c_int;
    fn fcntl(fd: c_int, command: c_int, lock: *mut Flock) -> c_int;
    fn flock(fd: c_int, operation: c_int) -> c_int;
}

/// A card of the machine, in this process.
#[derive(Debug)]
pub(crate) struct Card {
    /// It holds the lock on this process's record: the kernel takes that back when the process is gone, in any namespace.
    record_file: File,
    /// For the lock on the sums, which must be of another open file.
    sums_file: File,
    /// The file's lock is this process's: two threads of it would both have it.
    sums_thread: Mutex<()>,
    base: *const u8,
    record: usize,
    capacity: u64,
    state: PathBuf,
}

// SAFETY: what is behind the pointer is only ever used as atomic numbers.
unsafe impl Send for Card {}
// SAFETY: as above.
unsafe impl Sync for Card {}

impl Card {
    /// Opens the card's file and takes a record for this process.
    pub(crate) fn open(state: &Path, uuid: &str, capacity: u64) -> Result<Self, CudaError> {
        let failed = |_| CudaError::UNKNOWN;
        std::fs::create_dir_all(state).map_err(failed)?;
        let path = state.join(format!("{uuid}.used"));
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let (record_file, sums_file) = (open().map_err(failed)?, open().map_err(failed)?);
        sums_file.set_len(SIZE as u64).map_err(failed)?;
        // SAFETY: a new shared mapping of a file as long as it; nothing of ours lies there.
        let base = unsafe { mmap(std::ptr::null_mut(), SIZE, 3, 1, record_file.as_raw_fd(), 0) };
        if base as isize == -1 {
            return Err(CudaError::UNKNOWN);
        }
        let mut card = Self {
            record_file,
            sums_file,
            sums_thread: Mutex::new(()),
            base: base.cast::<u8>(),
            record: 0,
            capacity,
            state: state.to_owned(),
        };
        card.take_record()?;
        Ok(card)
    }

    fn take_record(&mut self) -> Result<(), CudaError> {
        // Nobody sums up while a record is this process's and has a dead one's bytes still.
        let sums = self.sums_file.try_clone().map_err(|_| CudaError::UNKNOWN)?;
        let _lock = SumsLock::new(&sums);
        for record in 0..RECORDS {
            if lock_record(&self.record_file, OFD_SETLK, record) == Some(WRLCK) {
                self.record = record;
                self.number(USED_RECORDS).fetch_max(record as u64 + 1, Ordering::SeqCst);
                self.given(record).store(0, Ordering::SeqCst);
                self.meets(record).store(0, Ordering::SeqCst);
                let (pid, start) = own_identity().ok_or(CudaError::UNKNOWN)?;
                // The bytes first: they were a dead process's.
                for (at, value) in [(BYTES, 0), (BUSY, 0), (PID, pid), (START, start)] {
                    self.field(record, at).store(value, Ordering::SeqCst);
                }
                return Ok(());
            }
        }
        Err(CudaError::OUT_OF_MEMORY)
    }

    fn number(&self, at: usize) -> &AtomicU64 {
        // SAFETY: every offset that is asked for is inside the mapping and a multiple of 8; others change it as atomics too.
        unsafe { &*self.base.add(at).cast::<AtomicU64>() }
    }

    fn field(&self, record: usize, field: usize) -> &AtomicU64 {
        self.number(HEADER + record * RECORD + field * 8)
    }

    /// Work that a process has given the card, in ns.
    fn given(&self, record: usize) -> &AtomicU64 {
        self.number(GIVEN + record * 8)
    }

    /// Work of a process that the card has done, in ns.
    fn done(&self, record: usize) -> &AtomicU64 {
        self.field(record, BUSY)
    }

    /// Not 0 while a process waits on the card for another one.
    fn meets(&self, record: usize) -> &AtomicU64 {
        self.number(MEETS + record * 8)
    }

    /// Whether the process of a record lives: the kernel takes its lock away when it dies.
    fn lives(&self, record: usize) -> bool {
        record == self.record || lock_record(&self.sums_file, OFD_GETLK, record) == Some(WRLCK)
    }

    /// Bytes that living processes hold. What a dead one held is free.
    pub(crate) fn used(&self) -> u64 {
        let mut sum = 0;
        for record in 0..RECORDS {
            let bytes = self.field(record, BYTES).load(Ordering::SeqCst);
            if bytes > 0 && self.lives(record) {
                sum += bytes;
            }
        }
        sum
    }

    /// The folder of what all processes of the machine share.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// Bytes of the card, all of it.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Takes bytes for this process, if there are so many.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), CudaError> {
        let _among_threads = self.sums_thread.lock();
        let _among_processes = SumsLock::new(&self.sums_file);
        let sum = self.used().checked_add(bytes).filter(|sum| *sum <= self.capacity);
        let sum = sum.ok_or(CudaError::OUT_OF_MEMORY)?;
        self.field(self.record, BYTES).fetch_add(bytes, Ordering::SeqCst);
        self.number(MOST).fetch_max(sum, Ordering::SeqCst);
        Ok(())
    }

    /// Gives bytes back.
    pub(crate) fn release(&self, bytes: u64) {
        self.field(self.record, BYTES).fetch_sub(bytes, Ordering::SeqCst);
    }
}

impl Drop for Card {
    /// A mapping keeps the file open, and so the lock on the record.
    fn drop(&mut self) {
        // SAFETY: the mapping of `open`, to which every reference has gone with this card.
        unsafe { munmap(self.base.cast_mut().cast::<c_void>(), SIZE) };
    }
}

/// The lock on the sums of a card.
struct SumsLock<'a>(&'a File);

impl<'a> SumsLock<'a> {
    fn new(file: &'a File) -> Self {
        // SAFETY: an open file; the kernel gives the lock back if this process dies.
        unsafe { flock(file.as_raw_fd(), LOCK_EX) };
        Self(file)
    }
}

impl Drop for SumsLock<'_> {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { flock(self.0.as_raw_fd(), LOCK_UN) };
    }
}

/// Processes that live and hold memory of a card, with their bytes: for those that only look.
pub(crate) fn holders(state: &Path, uuid: &str) -> Vec<(u64, u64)> {
    let path = state.join(format!("{uuid}.used"));
    // No card was ever opened there.
    let (Ok(file), Ok(bytes)) = (File::open(&path), std::fs::read(&path)) else { return Vec::new() };
    let number = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes);
    let holder = |record: usize| {
        let at = HEADER + record * RECORD;
        let (pid, held) = (number(at)?, number(at + 16).filter(|held| *held > 0)?);
        (lock_record(&file, OFD_GETLK, record) == Some(WRLCK)).then_some((pid, held))
    };
    (0..RECORDS).filter_map(holder).collect()
}

/// Locks the byte of a record, or asks who has: the kind of the lock that stands in the way, or that was had.
fn lock_record(file: &File, command: c_int, record: usize) -> Option<i16> {
    let mut it = Flock { kind: WRLCK, whence: 0, start: i64::try_from(record).ok()?, length: 1, pid: 0 };
    // SAFETY: an open file, and a lock on this stack.
    let done = unsafe { fcntl(file.as_raw_fd(), command, &raw mut it) };
    (done == 0).then_some(it.kind).filter(|kind| *kind != UNLCK)
}

/// This process's id, and the clock tick that it started at: field 22 of proc_pid_stat(5).
fn own_identity() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let start = text.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()?;
    Some((u64::from(std::process::id()), start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::abi::BLOCK;
    use crate::cuda::testing::Machine;

    #[test]
    fn what_is_reserved_is_never_more_than_the_card_has() {
        let card = Machine::new().card(2);
        assert_eq!(card.reserve(3 * BLOCK), Err(CudaError::OUT_OF_MEMORY));
        assert_eq!(card.used(), 0, "one that was refused took nothing");
        card.reserve(2 * BLOCK).unwrap();
        assert_eq!(card.reserve(1), Err(CudaError::OUT_OF_MEMORY));
    }

    #[test]
    fn processes_share_the_memory_of_a_card() {
        let machine = Machine::new();
        let (one, other) = (machine.card(3), machine.card(3));
        one.reserve(2 * BLOCK).unwrap();
        assert_eq!(other.reserve(2 * BLOCK), Err(CudaError::OUT_OF_MEMORY));
        one.release(BLOCK);
        assert_eq!(other.reserve(2 * BLOCK), Ok(()));
    }

    #[test]
    fn memory_of_a_dead_process_is_free() {
        let machine = Machine::new();
        let (one, other) = (machine.card(2), machine.card(2));
        one.reserve(2 * BLOCK).unwrap();
        drop(one);
        assert_eq!(other.used(), 0);
        assert_eq!(other.reserve(2 * BLOCK), Ok(()));
    }

    #[test]
    fn the_most_that_was_ever_held_is_kept() {
        let card = Machine::new().card(4);
        card.reserve(3 * BLOCK).unwrap();
        card.release(3 * BLOCK);
        card.reserve(BLOCK).unwrap();
        assert_eq!(card.number(MOST).load(Ordering::SeqCst), 3 * BLOCK);
    }

    #[test]
    fn holders_are_the_living_with_memory() {
        let machine = Machine::new();
        let [one, other, third] = [(); 3].map(|()| machine.card(4));
        one.reserve(BLOCK).unwrap();
        other.reserve(2 * BLOCK).unwrap();
        drop(other);
        let pid = u64::from(std::process::id());
        assert_eq!(holders(machine.state(), machine.uuid()), [(pid, BLOCK)]);
        assert_eq!(third.used(), BLOCK, "one that holds nothing is none");
    }
}
