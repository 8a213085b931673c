//! Holds a container to its share of a card's time.
//!
//! Containers have the card one after the other, a time slice each, which the node's arbiter grants (`arbiter`). Launches pass a gate
//! (`launch_gate`), which a thread opens and shuts (`timeslice_thread`); while it is open, a launch costs some atomic steps. Where there is
//! no arbiter for a while, a rate limit (`gcra`) says when the container may have its next time slice.

use std::ffi::c_void;

use crate::abi::{CUDA_ERROR_NOT_PERMITTED, CUDA_SUCCESS, CUcontext, CUresult, CUstream};
use crate::cards::{self, Card};

mod arbiter;
mod busy_time;
pub(crate) mod capture;
mod card_scheduler;
mod clock;
mod completion;
mod gcra;
mod inflight;
mod launch_gate;
mod pacing;
mod schedulers;
mod stream;
mod timeslice;
mod timeslice_thread;

pub(crate) use stream::Stream;

use completion::Completion;

/// Launches, when the container may.
#[inline]
pub(crate) fn launch(stream: Stream, real: impl FnOnce() -> CUresult) -> CUresult {
    let card = match current_card() {
        Ok(card) => card,
        Err(error) => return error,
    };
    // The whole card: nobody to share it with.
    if card.core_percent >= 100 || capture::is_any_active() && stream.is_captured() {
        return real();
    }
    match schedulers::of(card) {
        Ok(scheduler) => scheduler.launch(stream, real),
        Err(error) => error,
    }
}

/// The card of this thread. Where there is one only, nobody needs to be asked.
#[inline]
fn current_card() -> Result<&'static Card, CUresult> {
    match cards::all() {
        [] => Err(CUDA_ERROR_NOT_PERMITTED),
        [card] => Ok(card),
        _ => cards::current_context().map(|(_, card)| card),
    }
}

/// Calls something that succeeds when all work of a stream is done.
#[inline]
pub(crate) fn observe_stream(stream: Stream, real: impl FnOnce() -> CUresult) -> CUresult {
    observe(real, || {
        let completion = Completion::of(stream);
        move |other, _| Some(other) == completion
    })
}

/// Calls something that succeeds when all work of a context is done; null is this thread's.
pub(crate) fn observe_context(context: CUcontext, real: impl FnOnce() -> CUresult) -> CUresult {
    observe(real, || {
        let context = if context.is_null() { completion::current_context() } else { Some(context) };
        move |_, other| Some(other) == context
    })
}

/// Calls something that succeeds when some work is done: then the card is asked, if that is cheap.
pub(crate) fn observe_event(real: impl FnOnce() -> CUresult) -> CUresult {
    let result = real();
    if result == CUDA_SUCCESS {
        for scheduler in schedulers::all() {
            scheduler.poll_single_stream();
        }
    }
    result
}

#[inline]
fn observe<Covers: Fn(Completion, CUcontext) -> bool>(
    real: impl FnOnce() -> CUresult,
    covers: impl FnOnce() -> Covers,
) -> CUresult {
    let before = schedulers::snapshots();
    let result = real();
    if result == CUDA_SUCCESS && before.iter().flatten().any(|seen| seen.is_busy()) {
        let covers = covers();
        for scheduler in schedulers::all() {
            if let Some(Some(seen)) = before.get(scheduler.card.index) {
                scheduler.observed_done(*seen, &covers);
            }
        }
    }
    result
}

/// A stream is about to be destroyed.
pub(crate) fn stream_destroyed(handle: CUstream) {
    capture::forget(Stream::legacy(handle));
    for scheduler in schedulers::all() {
        scheduler.stream_destroyed(handle as usize);
    }
}

/// A context is about to be destroyed, with everything in it.
pub(crate) fn context_destroyed(context: *mut c_void) {
    completion::context_destroyed();
    for scheduler in schedulers::all() {
        scheduler.context_destroyed(context);
    }
}
