//! What this process has made.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::abi::Fault;
use super::card::Card;
use super::memory::Arena;
use super::physical::Store;
use super::pool::Pool;
use super::stream::{Capture, Streams};
use crate::config::File;

/// A card that this process sees.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) card: Card,
    pub(crate) uuid: [u8; 16],
    pub(crate) model: String,
    /// What each context takes, in bytes.
    pub(crate) context_bytes: u64,
}

/// A context. Its handle is its place plus one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) device: usize,
    pub(crate) live: bool,
    /// What every call answers since a kernel went wrong.
    pub(crate) broken: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Process {
    pub(crate) contexts: Vec<Context>,
    /// Of each device: the primary context, and how often it is retained.
    pub(crate) primary: HashMap<usize, (usize, u32)>,
    pub(crate) arenas: HashMap<usize, Arena>,
    pub(crate) pools: Vec<Pool>,
    pub(crate) physical: Store,
    /// Memory of the host that was given out, by address: bytes.
    pub(crate) host: BTreeMap<u64, u64>,
    pub(crate) streams: Streams,
    /// By handle: device time of a graph's kernels and bytes of its allocations.
    pub(crate) graphs: BTreeMap<usize, (u64, u64)>,
    pub(crate) captures: Vec<Capture>,
    pub(crate) last: usize,
}

impl Process {
    /// A handle that was never given before.
    pub(crate) fn handle(&mut self) -> usize {
        self.last += 1;
        // No small number: those are handles with a meaning of their own.
        0x1000 + self.last * 16
    }

    /// The arena of a device.
    pub(crate) fn arena(&mut self, device: usize) -> &mut Arena {
        self.arenas.entry(device).or_default()
    }
}

thread_local! {
    /// The contexts of a thread, the current one on top.
    static STACK: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

static DEVICES: OnceLock<Vec<Arc<Device>>> = OnceLock::new();

/// The process, locked.
pub(crate) fn process() -> MutexGuard<'static, Process> {
    static PROCESS: OnceLock<Mutex<Process>> = OnceLock::new();
    PROCESS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// ns of `CLOCK_MONOTONIC`, which all processes of a machine share.
pub(crate) fn now() -> u64 {
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
    }
    let mut time = [0; 2];
    // SAFETY: 1 is CLOCK_MONOTONIC, and two longs are a timespec on every 64-bit machine.
    unsafe { clock_gettime(1, &raw mut time) };
    time[0].cast_unsigned() * 1_000_000_000 + time[1].cast_unsigned()
}

/// Waits for a moment: asleep, but for the end, so that it is not missed.
pub(crate) fn wait_until(moment: u64) {
    const SPIN: u64 = 80_000;
    loop {
        let left = moment.saturating_sub(now());
        match left {
            0 => return,
            SPIN.. => std::thread::park_timeout(std::time::Duration::from_nanos(left - SPIN / 2)),
            _ => std::hint::spin_loop(),
        }
    }
}

/// Set in a child of `fork`: the driver works for no child of a process that has begun to use it.
static FORKED: AtomicBool = AtomicBool::new(false);

extern "C" fn forked() {
    FORKED.store(true, Ordering::Relaxed);
}

/// `cuInit`: opens the cards that are visible.
pub(crate) fn init() -> Result<(), Fault> {
    if FORKED.load(Ordering::Relaxed) {
        return Err(Fault::NOT_INITIALIZED);
    }
    match DEVICES.get_or_init(|| open().unwrap_or_default()).len() {
        0 => Err(Fault::NO_DEVICE),
        _ => Ok(()),
    }
}

fn open() -> Result<Vec<Arc<Device>>, Fault> {
    unsafe extern "C" {
        fn pthread_atfork(
            prepare: Option<extern "C" fn()>,
            parent: Option<extern "C" fn()>,
            child: Option<extern "C" fn()>,
        ) -> i32;
    }
    // SAFETY: the function is this library's, which is never unloaded.
    unsafe { pthread_atfork(None, None, Some(forked)) };
    let mut file = File::find();
    let state = file.state().ok_or(Fault::NO_DEVICE)?;
    let config = file.read().filter(|config| config.driver != "not_loaded").ok_or(Fault::NO_DEVICE)?;
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    let cards = config.cards.iter().enumerate().filter(|(at, card)| {
        let named = |text: &String| text.split(',').any(|one| one == at.to_string() || one == card.uuid);
        !card.lost && visible.as_ref().is_none_or(named)
    });
    let open = |(_, card): (usize, &crate::config::Card)| {
        let capacity = card.memory_mib.saturating_sub(card.reserved_mib) << 20;
        Ok(Arc::new(Device {
            card: Card::open(&state, &card.uuid, capacity)?,
            uuid: uuid(&card.uuid),
            model: card.model.clone(),
            context_bytes: card.context_mib << 20,
        }))
    };
    cards.map(open).collect()
}

/// The bytes of a UUID; what is no hexadecimal digit is left out.
fn uuid(text: &str) -> [u8; 16] {
    let digits: Vec<u8> =
        text.trim_start_matches("GPU-").chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    std::array::from_fn(|at| {
        let digit = |at: usize| digits.get(at).copied().unwrap_or(0);
        digit(2 * at) << 4 | digit(2 * at + 1)
    })
}

/// The devices, once `cuInit` was called.
pub(crate) fn devices() -> Result<&'static [Arc<Device>], Fault> {
    let usable = |devices: &&Vec<Arc<Device>>| !devices.is_empty() && !FORKED.load(Ordering::Relaxed);
    DEVICES.get().filter(usable).map(Vec::as_slice).ok_or(Fault::NOT_INITIALIZED)
}

/// A device by its number.
pub(crate) fn device(number: i32) -> Result<(usize, &'static Device), Fault> {
    let at = usize::try_from(number).map_err(|_| Fault::INVALID_DEVICE)?;
    devices()?.get(at).map(|device| (at, &**device)).ok_or(Fault::INVALID_DEVICE)
}

/// The handle of this thread's context; 0 for none.
pub(crate) fn current_handle() -> usize {
    STACK.with_borrow(|stack| stack.last().copied().unwrap_or(0))
}

/// Makes a context this thread's, in place of the one that it had.
pub(crate) fn set_current(handle: usize) {
    pop();
    push(handle);
}

/// Makes a context this thread's until it is taken away.
pub(crate) fn push(handle: usize) {
    STACK.with_borrow_mut(|stack| stack.push(handle));
}

/// Takes the current one away.
pub(crate) fn pop() -> usize {
    STACK.with_borrow_mut(|stack| stack.pop().unwrap_or(0))
}

/// This thread's context and its device.
pub(crate) fn current(process: &Process) -> Result<(usize, &'static Device), Fault> {
    let found = current_handle()
        .checked_sub(1)
        .and_then(|at| process.contexts.get(at))
        .filter(|context| context.live);
    let context = found.ok_or(Fault::INVALID_CONTEXT)?;
    if context.broken {
        return Err(Fault::ILLEGAL_ADDRESS);
    }
    devices()?.get(context.device).map(|device| (context.device, &**device)).ok_or(Fault::INVALID_CONTEXT)
}
