//! A lock of the container's processes around charging. It only keeps two allocations from refusing each other: each charges itself
//! before it reads the sum, so the limit holds without the lock too. So nobody waits for it for long.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How often a waiter checks whether the holder is alive: it runs a few thousand instructions, so by then it was killed or stopped.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// After so many checks the lock is taken from any holder.
const MAX_CHECKS: u32 = 20;

/// In the lock's word beside the holder's process id, which has at most 22 bits: somebody sleeps until it changes.
const WAITED_FOR: u32 = 1 << 31;

/// The lock, held if it could be had.
pub(crate) struct FutexLock<'a> {
    word: &'a AtomicU32,
    /// The holder's process id.
    me: u32,
}

impl<'a> FutexLock<'a> {
    /// Waits for the lock, and takes it from a holder that does not release it. `me` is this process's id.
    pub(super) fn new(word: &'a AtomicU32, me: u32) -> Self {
        let mut holder = match word.compare_exchange(0, me, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => return Self { word, me },
            Err(holder) => holder,
        };
        for checks in 1.. {
            let timed_out = wait(word, holder);
            let from =
                if timed_out && (checks >= MAX_CHECKS || is_gone(holder)) { holder | WAITED_FOR } else { 0 };
            // Whoever waited does not know whether others do.
            match word.compare_exchange(from, me | WAITED_FOR, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => break,
                Err(other) => holder = other,
            }
        }
        Self { word, me }
    }
}

fn is_gone(holder: u32) -> bool {
    !std::path::Path::new(&format!("/proc/{}", holder & !WAITED_FOR)).exists()
}

impl Drop for FutexLock<'_> {
    fn drop(&mut self) {
        // If another process took it away it is theirs; another thread's is let go too early, which does no harm.
        let leave = |word| (word & !WAITED_FOR == self.me).then_some(0);
        if self.word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, leave).is_ok_and(|word| word != self.me)
        {
            // SAFETY: the word is inside a mapping that lives as long as the process.
            unsafe { libc::syscall(libc::SYS_futex, self.word.as_ptr(), libc::FUTEX_WAKE, 1) };
        }
    }
}

/// Sleeps until the word is no longer that of `holder`; whether the time ran out.
fn wait(word: &AtomicU32, holder: u32) -> bool {
    let asleep = holder | WAITED_FOR;
    if holder == 0 || word.compare_exchange(holder, asleep, Ordering::SeqCst, Ordering::SeqCst).is_err() {
        return false;
    }
    let time = libc::timespec { tv_sec: 0, tv_nsec: i64::from(CHECK_INTERVAL.subsec_nanos()) };
    // SAFETY: the word is inside a mapping that lives as long as the process, and the time is on this stack.
    let waited =
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, asleep, &raw const time) };
    waited == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ETIMEDOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_goes_on_from_hand_to_hand_and_is_taken_from_the_dead() {
        static WORD: AtomicU32 = AtomicU32::new(0);
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Nobody has this id.
        WORD.store(u32::MAX, Ordering::SeqCst);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let _lock = FutexLock::new(&WORD, std::process::id());
                        let read = COUNT.load(Ordering::Relaxed);
                        COUNT.store(read + 1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!((COUNT.load(Ordering::SeqCst), WORD.load(Ordering::SeqCst)), (4000, 0));
    }
}
