//! Holds a container to its share of a card's time.
//!
//! Containers have the card one after the other, a time slice each (`timeslice_lock`), so what one is charged is time that the card
//! worked for it alone. A rate limit (`gcra`) says when a container is entitled to its next one. Launches pass a gate (`gate`), which
//! a thread opens and shuts (`timeslice_thread`); while it is open, a launch costs some atomic steps.

use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};

use ideal_gpu::accounting::layout::CARDS;

use crate::abi::{CUDA_ERROR_NOT_PERMITTED, CUDA_SUCCESS, CUcontext, CUresult, CUstream};
use crate::cards::{self, Card};
use crate::log;

pub(crate) mod capture;
mod clock;
mod completion;
mod gate;
mod gcra;
mod inflight;
mod pacing;
mod stream;
mod timeslice;
mod timeslice_lock;
mod timeslice_thread;

pub(crate) use stream::Stream;

use completion::Completion;
use gate::Gate;
use inflight::Snapshot;
use timeslice_lock::TimesliceLock;

/// The gates by the cards' places in the limits. They live as long as the process.
static GATES: [AtomicPtr<Gate>; CARDS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; CARDS];

/// Launches, when the container may.
#[inline]
pub(crate) fn launch(stream: Stream, real: impl FnOnce() -> CUresult) -> CUresult {
    let card = match card() {
        Ok(card) => card,
        Err(error) => return error,
    };
    // The whole card: nobody to share it with.
    if card.core_percent >= 100 || capture::any() && stream.is_captured() {
        return real();
    }
    match gate(card) {
        Ok(gate) => gate.launch(stream, real),
        Err(error) => error,
    }
}

/// The card of this thread. Where there is one only, nobody needs to be asked.
#[inline]
fn card() -> Result<&'static Card, CUresult> {
    match cards::all() {
        [] => Err(CUDA_ERROR_NOT_PERMITTED),
        [card] => Ok(card),
        _ => cards::current().map(|(_, card)| card),
    }
}

#[inline]
fn gate(card: &'static Card) -> Result<&'static Gate, CUresult> {
    let place = GATES.get(card.place).ok_or(CUDA_ERROR_NOT_PERMITTED)?;
    // SAFETY: null or a gate that was leaked for good.
    match unsafe { place.load(Ordering::Acquire).as_ref() } {
        Some(gate) => Ok(gate),
        None => first(card, place),
    }
}

/// Makes the gate, at the first launch.
#[cold]
fn first(card: &'static Card, place: &'static AtomicPtr<Gate>) -> Result<&'static Gate, CUresult> {
    let timeslice = TimesliceLock::open(&card.uuid).map_err(|error| {
        log::error(&format!(
            "{}/{}: {error}. Work is refused on this card",
            ideal_gpu::container_paths::TIMESLICE_LOCKS,
            card.uuid
        ));
        CUDA_ERROR_NOT_PERMITTED
    })?;
    let made = Box::into_raw(Box::new(Gate::new(card, timeslice)));
    match place.compare_exchange(std::ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            // SAFETY: made above and leaked for good.
            let gate = unsafe { &*made };
            start_timeslice_thread(gate);
            Ok(gate)
        }
        Err(other) => {
            // SAFETY: made above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(made) });
            // SAFETY: a gate that was leaked for good.
            Ok(unsafe { &*other })
        }
    }
}

/// Starts the thread that gives the gate its time slices.
fn start_timeslice_thread(gate: &'static Gate) {
    static ONCE: std::sync::Once = std::sync::Once::new();
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
    let run = move || timeslice_thread::run(gate, has_other_work);
    let started = std::thread::Builder::new().name("vcuda".into()).stack_size(256 << 10).spawn(run);
    // SAFETY: as above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    match started {
        Ok(thread) => {
            let _only_once = gate.timeslice_thread.set(thread.thread().clone());
        }
        Err(error) => {
            log::error(&format!(
                "no thread can be started: {error}. Work is refused on card {}",
                gate.card.uuid
            ));
            gate.abandon();
        }
    }
}

/// In the child of a fork: it has no such thread, and the descriptors of the time slice's lock are its parent's. Only what may be done there is done.
extern "C" fn forked() {
    for place in &GATES {
        // SAFETY: null or a gate that was leaked for good.
        if let Some(gate) = unsafe { place.swap(std::ptr::null_mut(), Ordering::SeqCst).as_ref() } {
            for descriptor in gate.timeslice.descriptors() {
                // SAFETY: this copy of it is never used again.
                unsafe { libc::close(descriptor) };
            }
        }
    }
}

fn gates() -> impl Iterator<Item = &'static Gate> {
    // SAFETY: null or gates that were leaked for good.
    GATES.iter().filter_map(|place| unsafe { place.load(Ordering::Acquire).as_ref() })
}

/// Whether the process has work on another card than this gate's.
fn has_other_work(gate: &Gate) -> bool {
    gates().any(|other| !std::ptr::eq(other, gate) && other.inflight.snapshot().is_busy())
}

/// Calls something that succeeds when all work of a stream is done.
#[inline]
pub(crate) fn stream_done(stream: Stream, real: impl FnOnce() -> CUresult) -> CUresult {
    observe(real, || {
        let completion = Completion::of(stream);
        move |other, _| Some(other) == completion
    })
}

/// Calls something that succeeds when all work of a context is done; null is this thread's.
pub(crate) fn context_done(context: CUcontext, real: impl FnOnce() -> CUresult) -> CUresult {
    observe(real, || {
        let context = if context.is_null() { completion::current_context() } else { Some(context) };
        move |_, other| Some(other) == context
    })
}

/// Calls something that succeeds when some work is done: then the card is asked, if that is cheap.
pub(crate) fn something_done(real: impl FnOnce() -> CUresult) -> CUresult {
    let result = real();
    if result == CUDA_SUCCESS {
        for gate in gates() {
            gate.glance();
        }
    }
    result
}

#[inline]
fn observe<Covers: Fn(Completion, CUcontext) -> bool>(
    real: impl FnOnce() -> CUresult,
    covers: impl FnOnce() -> Covers,
) -> CUresult {
    let before: [Option<Snapshot>; CARDS] = std::array::from_fn(|place| {
        // SAFETY: null or a gate that was leaked for good.
        unsafe { GATES[place].load(Ordering::Acquire).as_ref() }.map(|gate| gate.inflight.snapshot())
    });
    let result = real();
    if result == CUDA_SUCCESS && before.iter().flatten().any(|seen| seen.is_busy()) {
        let covers = covers();
        for gate in gates() {
            if let Some(Some(seen)) = before.get(gate.card.place) {
                gate.synchronise(*seen, &covers);
            }
        }
    }
    result
}

/// A stream is about to be destroyed.
pub(crate) fn forget_stream(handle: CUstream) {
    let stream = Stream::legacy(handle);
    capture::forget(stream);
    for gate in gates() {
        gate.replace(handle as usize);
    }
}

/// A context is about to be destroyed, with everything in it.
pub(crate) fn forget_context(context: *mut c_void) {
    completion::context_destroyed();
    for gate in gates() {
        gate.forget(context);
    }
}
