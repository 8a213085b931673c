//! Which streams are being captured: what is launched on them goes into a graph and not to the card.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::stream::Stream;

/// Streams on which a capture was begun. Others join them by events, which is why only the driver knows them all.
static BEGUN: Mutex<Vec<usize>> = Mutex::new(Vec::new());
/// How many they are.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Held while streams are asked whether they are done.
static ASKING: Mutex<()> = Mutex::new(());

fn change(change: impl FnOnce(&mut Vec<usize>)) {
    let mut begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    change(&mut begun);
    COUNT.store(begun.len(), Ordering::SeqCst);
}

/// Whether anything is being captured.
#[inline]
pub(super) fn is_any_active() -> bool {
    COUNT.load(Ordering::SeqCst) != 0
}

/// Runs `ask` unless something is being captured, and keeps captures from beginning meanwhile: asking about a stream that is captured
/// would spoil the capture.
pub(super) fn without_captures<T>(ask: impl FnOnce() -> T) -> Option<T> {
    let _asking = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
    (!is_any_active()).then(ask)
}

/// Begins a capture.
pub(crate) fn begin(stream: Stream, real: impl FnOnce() -> u32) -> u32 {
    let key = key(stream);
    change(|begun| begun.push(key));
    // Whoever asks now ends; the next one sees the capture.
    drop(ASKING.lock().unwrap_or_else(PoisonError::into_inner));
    let result = real();
    if result != crate::abi::CUDA_SUCCESS {
        forget_one(key);
    }
    result
}

/// Ends a capture, if the stream is not captured any more afterwards, whatever the driver answers.
pub(crate) fn end(stream: Stream, real: impl FnOnce() -> u32) -> u32 {
    let result = real();
    if !stream.is_captured() {
        forget_one(key(stream));
    }
    result
}

/// A stream is about to be destroyed, and a capture on it ends with it.
pub(super) fn forget(stream: Stream) {
    let key = key(stream);
    change(|begun| begun.retain(|begun| *begun != key));
}

fn forget_one(key: usize) {
    change(|begun| {
        if let Some(at) = begun.iter().position(|begun| *begun == key) {
            begun.swap_remove(at);
        }
    });
}

fn key(stream: Stream) -> usize {
    match stream {
        Stream::Legacy => 1,
        Stream::PerThread => 2,
        Stream::Made(handle) => handle as usize,
    }
}
