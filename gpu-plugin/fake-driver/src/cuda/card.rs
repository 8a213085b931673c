//! A card as all processes of the machine share it: a file that each maps.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::abi::CudaError;

/// Processes that can use a card at one time.
const RECORDS: usize = 1023;

/// The header, and with it where the records begin.
const HEADER: usize = 4096;

/// In the header, behind the clock: the most bytes that were ever held at one time.
const MOST: usize = 8;

/// Bytes of a record: four numbers.
const RECORD: usize = 32;

/// The numbers of a record: the process's id as it sees it, the clock tick that it started at, bytes, and ns of device time.
const PID: usize = 0;
const START: usize = 1;
const BYTES: usize = 2;
const BUSY: usize = 3;

/// Where, behind the records, it stands when each process's work ends: a number each.
const ENDS: usize = HEADER + RECORDS * RECORD;

const SIZE: usize = ENDS + RECORDS * 8;

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
                self.end_of_work(record).store(0, Ordering::SeqCst);
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

    /// When the last work of a process ends.
    fn end_of_work(&self, record: usize) -> &AtomicU64 {
        self.number(ENDS + record * 8)
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

    /// Gives the card work: it begins when the card has done what it was given before, and not before `now` and `after`. Returns
    /// its end, in ns of `CLOCK_MONOTONIC` as the others are.
    pub(crate) fn submit(&self, now: u64, after: u64, length: u64) -> u64 {
        let end = |before: u64| before.max(after).max(now) + length;
        self.field(self.record, BUSY).fetch_add(length, Ordering::Relaxed);
        self.drop_dead_work(now);
        loop {
            let before = self.number(0).load(Ordering::SeqCst);
            // First said, then done: who lowers the clock to what the living have said never lowers it below this.
            self.end_of_work(self.record).store(end(before), Ordering::SeqCst);
            let done =
                self.number(0).compare_exchange(before, end(before), Ordering::SeqCst, Ordering::SeqCst);
            if done.is_ok() {
                return end(before);
            }
        }
    }

    /// A dead process's work ends with it: the clock goes back to where the living end.
    fn drop_dead_work(&self, now: u64) {
        let clock = self.number(0).load(Ordering::SeqCst);
        // Most launches end here: only this process has work, or nobody.
        if clock <= now.max(self.end_of_work(self.record).load(Ordering::SeqCst)) {
            return;
        }
        let ends = (0..RECORDS).map(|record| (record, self.end_of_work(record).load(Ordering::SeqCst)));
        let living = ends.filter(|(record, end)| *end > now && self.lives(*record)).map(|(_, end)| end).max();
        // Where another was faster the clock stays, and the next launch looks again.
        let _ = self.number(0).compare_exchange(
            clock,
            living.unwrap_or(now).min(clock),
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
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
    fn work_begins_when_the_card_has_done_what_it_was_given_before() {
        let card = Machine::new().card(1);
        assert_eq!(card.submit(100, 0, 50), 150);
        assert_eq!(card.submit(120, 0, 10), 160);
    }

    #[test]
    fn an_idle_card_begins_at_once() {
        let card = Machine::new().card(1);
        card.submit(100, 0, 50);
        assert_eq!(card.submit(1_000, 0, 10), 1_010);
    }

    #[test]
    fn work_does_not_begin_before_what_it_waits_for() {
        let card = Machine::new().card(1);
        assert_eq!(card.submit(100, 500, 10), 510);
    }

    #[test]
    fn processes_share_the_time_of_a_card() {
        let machine = Machine::new();
        let (one, other) = (machine.card(1), machine.card(1));
        one.submit(100, 0, 50);
        assert_eq!(other.submit(100, 0, 50), 200);
    }

    #[test]
    fn work_of_a_dead_process_ends_with_it() {
        let machine = Machine::new();
        let (one, other) = (machine.card(1), machine.card(1));
        one.submit(100, 0, 1_000_000);
        drop(one);
        assert_eq!(other.submit(200, 0, 50), 250);
    }

    #[test]
    fn work_of_the_living_is_waited_for_when_a_process_dies() {
        let machine = Machine::new();
        let [one, other, third] = [(); 3].map(|()| machine.card(1));
        one.submit(100, 0, 1_000);
        other.submit(100, 0, 50);
        drop(other);
        assert_eq!(third.submit(200, 0, 50), 1_150);
    }

    #[test]
    fn device_time_is_counted_by_process() {
        let machine = Machine::new();
        let (one, other) = (machine.card(1), machine.card(1));
        one.submit(0, 0, 50);
        one.submit(0, 0, 7);
        other.submit(0, 0, 1);
        let busy = |card: &Card| card.field(card.record, BUSY).load(Ordering::SeqCst);
        assert_eq!((busy(&one), busy(&other)), (57, 1));
    }

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
