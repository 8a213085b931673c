//! Where a launch goes, and whether the card has done what went there.

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::abi::{CUDA_SUCCESS, CUcontext, CUresult, CUstream, Unsigned};
use crate::driver::{DriverFunction, Library};

/// `CUevent`, opaque.
type CUevent = *mut c_void;

/// `CUDA_ERROR_NOT_READY`
const NOT_READY: CUresult = 600;
/// `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED` to `CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD`: asked while a graph is captured.
const CAPTURE_ERRORS: std::ops::RangeInclusive<CUresult> = 900..=908;

/// `CU_STREAM_LEGACY` and `CU_STREAM_PER_THREAD`, handles that stand for a default stream.
const LEGACY: usize = 1;
const PER_THREAD: usize = 2;

/// Which stream a handle means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// The default stream of a context.
    Legacy,
    /// The default stream of the calling thread in its context.
    PerThread,
    /// One that the program made.
    Made(CUstream),
}

impl Stream {
    /// In a function whose null stream is the legacy one.
    #[inline]
    pub(crate) fn legacy(handle: CUstream) -> Self {
        match handle as usize {
            0 | LEGACY => Self::Legacy,
            PER_THREAD => Self::PerThread,
            _ => Self::Made(handle),
        }
    }

    /// In a function whose null stream is the thread's: those that end with `_ptsz` and `_ptds`.
    #[inline]
    pub(crate) fn per_thread(handle: CUstream) -> Self {
        if handle.is_null() { Self::PerThread } else { Self::legacy(handle) }
    }

    /// As a handle that means the same in every function.
    fn handle(self) -> CUstream {
        match self {
            Self::Legacy => std::ptr::without_provenance_mut(LEGACY),
            Self::PerThread => std::ptr::without_provenance_mut(PER_THREAD),
            Self::Made(handle) => handle,
        }
    }

    /// Whether launches on it go into a graph. Asking does no harm to a capture, `cuStreamIsCapturing` in the driver's
    /// documentation; an error means that the legacy stream may not be used now, which the launch will say itself.
    pub(super) fn captures(self) -> bool {
        static CAPTURING: DriverFunction<unsafe extern "C" fn(CUstream, *mut Unsigned) -> CUresult> =
            DriverFunction::new(Library::Cuda, c"cuStreamIsCapturing");
        let mut status = 0;
        // SAFETY: the signature is cuda.h's, and the place is on this stack.
        let told = unsafe { CAPTURING.get().map(|capturing| capturing(self.handle(), &raw mut status)) };
        told != Some(CUDA_SUCCESS) || status != 0
    }
}

/// What tells when the card has done what was launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Different for each stream: the stream, the context with its lowest bit set, or the event.
    pub(super) key: usize,
    event: bool,
    /// An event that is ours alone, and is destroyed when it has told.
    orphan: bool,
}

impl Mark {
    /// The mark of a stream, for a launch in this thread. `None` where the driver does not even have a context: then it launches
    /// nothing either.
    #[inline]
    pub(super) fn of(stream: Stream) -> Option<Self> {
        match stream {
            Stream::Made(handle) => Some(Self { key: handle as usize, event: false, orphan: false }),
            Stream::Legacy => {
                let context = current().filter(|context| !context.is_null())?;
                Some(Self { key: context as usize | 1, event: false, orphan: false })
            }
            Stream::PerThread => Some(Self { key: event()? as usize, event: true, orphan: false }),
        }
    }

    /// To be called after a launch: other threads cannot ask about this thread's default stream, so an event stands for it.
    #[inline]
    pub(super) fn launched(self) {
        static RECORD: DriverFunction<unsafe extern "C" fn(CUevent, CUstream) -> CUresult> =
            DriverFunction::new(Library::Cuda, c"cuEventRecord");
        if self.event {
            let (event, stream) = (std::ptr::without_provenance_mut(self.key), Stream::PerThread.handle());
            // SAFETY: the signature is cuda.h's. The event is of this thread's context, see `event`.
            unsafe { RECORD.get().map(|record| record(event, stream)) };
        }
    }

    /// A mark that is good when its stream is destroyed: the driver does what is left of a destroyed stream.
    pub(super) fn outlive(self, context: CUcontext) -> Option<Self> {
        static RECORD: DriverFunction<unsafe extern "C" fn(CUevent, CUstream) -> CUresult> =
            DriverFunction::new(Library::Cuda, c"cuEventRecord");
        let before = current()?;
        make_current(context);
        let event = create();
        // SAFETY: the signature is cuda.h's; the stream is not destroyed yet, and the event was made in its context.
        let told = event.and_then(|event| unsafe {
            RECORD.get().map(|record| record(event, std::ptr::without_provenance_mut(self.key)))
        });
        make_current(before);
        let mark = Self { key: event? as usize, event: true, orphan: true };
        if told != Some(CUDA_SUCCESS) {
            mark.told();
            return None;
        }
        Some(mark)
    }

    /// It has told and is not asked again.
    pub(super) fn told(self) {
        static DESTROY: DriverFunction<unsafe extern "C" fn(CUevent) -> CUresult> =
            DriverFunction::new(Library::Cuda, c"cuEventDestroy_v2");
        if self.orphan {
            // SAFETY: the signature is cuda.h's; the event is ours alone.
            unsafe { DESTROY.get().map(|destroy| destroy(std::ptr::without_provenance_mut(self.key))) };
        }
    }

    /// Whether the card has done all of it, asked by a thread of ours.
    pub(super) fn done(self, context: CUcontext) -> bool {
        make_current(context);
        self.done_here()
    }

    /// The same where its context is current. An error other than "not yet" means that there is nothing left to wait for.
    pub(super) fn done_here(self) -> bool {
        type Query = unsafe extern "C" fn(*mut c_void) -> CUresult;
        static STREAM: DriverFunction<Query> = DriverFunction::new(Library::Cuda, c"cuStreamQuery");
        static EVENT: DriverFunction<Query> = DriverFunction::new(Library::Cuda, c"cuEventQuery");
        let handle = if self.key & 1 == 1 { LEGACY } else { self.key };
        // SAFETY: the signatures are cuda.h's. The stream or the event lives: who destroys it takes its mark away before.
        let query = unsafe { if self.event { EVENT.get() } else { STREAM.get() } };
        // SAFETY: as above.
        let told = query.map(|query| unsafe { query(std::ptr::without_provenance_mut(handle)) });
        !told.is_some_and(|told| told == NOT_READY || CAPTURE_ERRORS.contains(&told))
    }
}

/// The context of this thread.
pub(super) fn current() -> Option<CUcontext> {
    static CURRENT: DriverFunction<unsafe extern "C" fn(*mut CUcontext) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuCtxGetCurrent");
    let mut context = std::ptr::null_mut();
    // SAFETY: the signature is cuda.h's, and the place is on this stack.
    let told = unsafe { CURRENT.get().map(|current| current(&raw mut context)) };
    (told == Some(CUDA_SUCCESS)).then_some(context)
}

/// Makes a context this thread's.
fn make_current(context: CUcontext) {
    static SET: DriverFunction<unsafe extern "C" fn(CUcontext) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuCtxSetCurrent");
    // SAFETY: the signature is cuda.h's. The context lives: who destroys it takes its marks away before.
    unsafe { SET.get().map(|set| set(context)) };
}

/// Goes up whenever contexts die, and their events with them.
static DEATHS: AtomicUsize = AtomicUsize::new(0);

/// A context is about to die.
pub(super) fn context_dies() {
    DEATHS.fetch_add(1, Ordering::SeqCst);
}

/// A new event in this thread's context.
fn create() -> Option<CUevent> {
    /// `CU_EVENT_DISABLE_TIMING`: the cheapest kind.
    const DISABLE_TIMING: Unsigned = 2;
    static CREATE: DriverFunction<unsafe extern "C" fn(*mut CUevent, Unsigned) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuEventCreate");
    let mut event = std::ptr::null_mut();
    // SAFETY: the signature is cuda.h's, and the place is on this stack.
    let told = unsafe { CREATE.get()?(&raw mut event, DISABLE_TIMING) };
    (told == CUDA_SUCCESS).then_some(event)
}

/// The event that stands for this thread's default stream in its context. It is never destroyed but with its context: an event is
/// small, and there is one for each thread.
fn event() -> Option<CUevent> {
    thread_local! {
        static EVENT: Cell<(usize, usize, CUevent)> = const { Cell::new((0, 0, std::ptr::null_mut())) };
    }
    let (context, deaths) = (current()? as usize, DEATHS.load(Ordering::SeqCst));
    let known = EVENT.get();
    if (known.0, known.1) == (context, deaths) && !known.2.is_null() {
        return Some(known.2);
    }
    let event = create()?;
    EVENT.set((context, deaths, event));
    Some(event)
}
