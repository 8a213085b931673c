//! Whether the card has done what was launched.

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::stream::{LEGACY, Stream};
use crate::abi::{CUDA_SUCCESS, CUcontext, CUresult, CUstream, Unsigned};
use crate::driver::{DriverFunction, Library};

/// `CUevent`, opaque.
type CUevent = *mut c_void;

/// `CUDA_ERROR_NOT_READY`
const NOT_READY: CUresult = 600;
/// `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED` to `CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD`: asked while a graph is captured.
const CAPTURE_ERRORS: std::ops::RangeInclusive<CUresult> = 900..=908;

/// Something that can be asked whether the card has done what was launched on one stream: the stream itself, or an event behind the
/// work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Completion {
    /// Different for each stream: the stream, the context with its lowest bit set, or the event.
    pub(super) key: usize,
    event: bool,
    /// An event that stands for a destroyed stream: ours alone, and destroyed when the work is done.
    detached: bool,
}

impl Completion {
    /// That of a stream, for a launch in this thread. `None` where the driver does not even have a context: then it launches
    /// nothing either.
    #[inline]
    pub(super) fn of(stream: Stream) -> Option<Self> {
        match stream {
            Stream::Made(handle) => Some(Self { key: handle as usize, event: false, detached: false }),
            Stream::Legacy => {
                let context = current_context().filter(|context| !context.is_null())?;
                Some(Self { key: context as usize | 1, event: false, detached: false })
            }
            Stream::PerThread => Some(Self { key: thread_event()? as usize, event: true, detached: false }),
        }
    }

    /// To be called after a launch: other threads cannot ask about this thread's default stream, so an event stands for it.
    #[inline]
    pub(super) fn after_launch(self) {
        static RECORD: DriverFunction<unsafe extern "C" fn(CUevent, CUstream) -> CUresult> =
            DriverFunction::new(Library::Cuda, c"cuEventRecord");
        if self.event {
            let (event, stream) = (std::ptr::without_provenance_mut(self.key), Stream::PerThread.handle());
            // SAFETY: the signature is cuda.h's. The event is of this thread's context, see `thread_event`.
            unsafe { RECORD.get().map(|record| record(event, stream)) };
        }
    }

    /// One that is good when its stream is destroyed: the driver does what is left of a destroyed stream.
    pub(super) fn detach(self, context: CUcontext) -> Option<Self> {
        static RECORD: DriverFunction<unsafe extern "C" fn(CUevent, CUstream) -> CUresult> =
            DriverFunction::new(Library::Cuda, c"cuEventRecord");
        let before = current_context()?;
        make_current(context);
        let event = create_event();
        // SAFETY: the signature is cuda.h's; the stream is not destroyed yet, and the event was made in its context.
        let recorded = event.and_then(|event| unsafe {
            RECORD.get().map(|record| record(event, std::ptr::without_provenance_mut(self.key)))
        });
        make_current(before);
        let completion = Self { key: event? as usize, event: true, detached: true };
        if recorded != Some(CUDA_SUCCESS) {
            completion.release();
            return None;
        }
        Some(completion)
    }

    /// It is not asked again.
    pub(super) fn release(self) {
        static DESTROY: DriverFunction<unsafe extern "C" fn(CUevent) -> CUresult> =
            DriverFunction::new(Library::Cuda, c"cuEventDestroy_v2");
        if self.detached {
            // SAFETY: the signature is cuda.h's; the event is ours alone.
            unsafe { DESTROY.get().map(|destroy| destroy(std::ptr::without_provenance_mut(self.key))) };
        }
    }

    /// Whether the card has done all of it, asked by a thread of ours.
    pub(super) fn is_done_in(self, context: CUcontext) -> bool {
        make_current(context);
        self.is_done()
    }

    /// The same where its context is current. An error other than "not yet" means that there is nothing left to wait for.
    pub(super) fn is_done(self) -> bool {
        type Query = unsafe extern "C" fn(*mut c_void) -> CUresult;
        static STREAM: DriverFunction<Query> = DriverFunction::new(Library::Cuda, c"cuStreamQuery");
        static EVENT: DriverFunction<Query> = DriverFunction::new(Library::Cuda, c"cuEventQuery");
        let handle = if self.key & 1 == 1 { LEGACY } else { self.key };
        // SAFETY: the signatures are cuda.h's. The stream or the event lives: whoever destroys it has this forgotten before.
        let query = unsafe { if self.event { EVENT.get() } else { STREAM.get() } };
        // SAFETY: as above.
        let result = query.map(|query| unsafe { query(std::ptr::without_provenance_mut(handle)) });
        !result.is_some_and(|result| result == NOT_READY || CAPTURE_ERRORS.contains(&result))
    }
}

/// The context of this thread.
pub(super) fn current_context() -> Option<CUcontext> {
    static CURRENT: DriverFunction<unsafe extern "C" fn(*mut CUcontext) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuCtxGetCurrent");
    let mut context = std::ptr::null_mut();
    // SAFETY: the signature is cuda.h's, and the context is on this stack.
    let result = unsafe { CURRENT.get().map(|current| current(&raw mut context)) };
    (result == Some(CUDA_SUCCESS)).then_some(context)
}

/// Makes a context this thread's.
fn make_current(context: CUcontext) {
    static SET: DriverFunction<unsafe extern "C" fn(CUcontext) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuCtxSetCurrent");
    // SAFETY: the signature is cuda.h's. The context lives: whoever destroys it has its completions forgotten before.
    unsafe { SET.get().map(|set| set(context)) };
}

/// How many contexts were destroyed, and their events with them.
static DESTROYED_CONTEXTS: AtomicUsize = AtomicUsize::new(0);

/// A context is about to be destroyed.
pub(super) fn context_destroyed() {
    DESTROYED_CONTEXTS.fetch_add(1, Ordering::SeqCst);
}

/// A new event in this thread's context.
fn create_event() -> Option<CUevent> {
    /// `CU_EVENT_DISABLE_TIMING`: the cheapest kind.
    const DISABLE_TIMING: Unsigned = 2;
    static CREATE: DriverFunction<unsafe extern "C" fn(*mut CUevent, Unsigned) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuEventCreate");
    let mut event = std::ptr::null_mut();
    // SAFETY: the signature is cuda.h's, and the event is on this stack.
    let result = unsafe { CREATE.get()?(&raw mut event, DISABLE_TIMING) };
    (result == CUDA_SUCCESS).then_some(event)
}

/// The event that stands for this thread's default stream in its context. It is never destroyed but with its context: an event is
/// small, and there is one for each thread.
fn thread_event() -> Option<CUevent> {
    thread_local! {
        static EVENT: Cell<(usize, usize, CUevent)> = const { Cell::new((0, 0, std::ptr::null_mut())) };
    }
    let (context, destroyed) = (current_context()? as usize, DESTROYED_CONTEXTS.load(Ordering::SeqCst));
    let known = EVENT.get();
    if (known.0, known.1) == (context, destroyed) && !known.2.is_null() {
        return Some(known.2);
    }
    let event = create_event()?;
    EVENT.set((context, destroyed, event));
    Some(event)
}
