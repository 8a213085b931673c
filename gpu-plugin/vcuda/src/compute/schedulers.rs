//! The schedulers of the cards that this process launches on, each made at the first launch, with a thread of its own.

use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

use ideal_gpu::accounting::layout::CARDS;

use crate::abi::{CUDA_ERROR_NOT_PERMITTED, CUresult};
use crate::cards::Card;
use crate::log;

use super::card_scheduler::CardScheduler;
use super::inflight::Snapshot;
use super::timeslice_thread;

/// By the cards' places in the limits. They live as long as the process.
static SCHEDULERS: [AtomicPtr<CardScheduler>; CARDS] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; CARDS];

/// The scheduler of a card.
#[inline]
pub(super) fn of(card: &'static Card) -> Result<&'static CardScheduler, CUresult> {
    let scheduler = SCHEDULERS.get(card.index).ok_or(CUDA_ERROR_NOT_PERMITTED)?;
    Ok(loaded(scheduler).unwrap_or_else(|| create(card, scheduler)))
}

/// All that were made.
pub(super) fn all() -> impl Iterator<Item = &'static CardScheduler> {
    SCHEDULERS.iter().filter_map(loaded)
}

/// What is in flight on each card; `None` where nothing was launched yet.
#[inline]
pub(super) fn snapshots() -> [Option<Snapshot>; CARDS] {
    SCHEDULERS.each_ref().map(|scheduler| loaded(scheduler).map(|it| it.gate.inflight().snapshot()))
}

#[inline]
fn loaded(scheduler: &AtomicPtr<CardScheduler>) -> Option<&'static CardScheduler> {
    // SAFETY: null or a scheduler that was leaked for good.
    unsafe { scheduler.load(Ordering::Acquire).as_ref() }
}

#[cold]
fn create(card: &'static Card, scheduler: &'static AtomicPtr<CardScheduler>) -> &'static CardScheduler {
    let made = Box::into_raw(Box::new(CardScheduler::new(card)));
    match scheduler.compare_exchange(std::ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            // SAFETY: made above and leaked for good.
            let scheduler = unsafe { &*made };
            start_thread(scheduler);
            scheduler
        }
        Err(other) => {
            // SAFETY: made above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(made) });
            // SAFETY: a scheduler that was leaked for good.
            unsafe { &*other }
        }
    }
}

/// Starts the thread that runs the time slices.
fn start_thread(scheduler: &'static CardScheduler) {
    static ONCE: Once = Once::new();
    // SAFETY: the function is one that may run in the child of a fork.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(forked));
    });
    // No signal of the program may be handled in a thread that is not the program's: a new thread inherits what is blocked.
    // SAFETY: sets of signals on this stack.
    let mut before: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut every: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    unsafe {
        libc::sigfillset(&raw mut every);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const every, &raw mut before);
    }
    let run = move || timeslice_thread::run(scheduler);
    let started = std::thread::Builder::new().name("vcuda".into()).stack_size(256 << 10).spawn(run);
    // SAFETY: as above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    if let Err(error) = started {
        let uuid = &scheduler.card.uuid;
        log::error(&format!(
            "cannot start a thread for time slices: {error}. Launches on card {uuid} are refused"
        ));
        scheduler.gate.abandon();
    }
}

/// In the child of a fork: it has no such threads, and the connections to the arbiter are its parent's. Only what may be done there is
/// done.
extern "C" fn forked() {
    for scheduler in &SCHEDULERS {
        // SAFETY: null or a scheduler that was leaked for good.
        let scheduler = unsafe { scheduler.swap(std::ptr::null_mut(), Ordering::SeqCst).as_ref() };
        if let Some(scheduler) = scheduler {
            scheduler.arbiter_descriptor.close();
        }
    }
}
