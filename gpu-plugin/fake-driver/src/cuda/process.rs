//! What this process has made of the driver's: one state, behind one lock.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, OnceLock};

use parking_lot::{Mutex, MutexGuard};

use super::abi::{CudaError, CudaResult};
use super::current::current_handle;
use super::device::{Device, open_visible};
use super::meeting::Meeting;
use super::queues::Queues;
use super::state::arena::Arena;
use super::state::captures::Captures;
use super::state::graphs::Graphs;
use super::state::physical::PhysicalMemory;
use super::state::pools::Pools;
use super::state::streams::Streams;

/// A context. Its handle is its place plus one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) device: usize,
    pub(crate) live: bool,
    /// A kernel went wrong: every later call fails.
    pub(crate) broken: bool,
}

/// The primary context of a device.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Primary {
    pub(crate) handle: usize,
    /// How often it is retained; 0 where there is none.
    pub(crate) retained: u32,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Process {
    /// The devices, once `cuInit` was called. They live as long as the process.
    pub(crate) devices: &'static [Device],
    pub(crate) contexts: Vec<Context>,
    /// By device.
    pub(crate) primary: HashMap<usize, Primary>,
    /// By device.
    pub(crate) arenas: HashMap<usize, Arena>,
    pub(crate) pools: Pools,
    pub(crate) physical: PhysicalMemory,
    /// Memory of the host that was given out, by address: bytes.
    pub(crate) host: BTreeMap<u64, u64>,
    pub(crate) streams: Streams,
    pub(crate) queues: Queues,
    /// How often a kernel met others, by the meeting's name.
    meetings: HashMap<u64, u64>,
    pub(crate) captures: Captures,
    pub(crate) graphs: Graphs,
    last_handle: usize,
}

impl Process {
    /// A handle that was never given before.
    pub(crate) fn new_handle(&mut self) -> usize {
        self.last_handle += 1;
        // No small number: those are handles with a meaning of their own.
        0x1000 + self.last_handle * 16
    }

    /// The devices, once `cuInit` was called.
    pub(crate) fn devices(&self) -> Result<&'static [Device], CudaError> {
        if self.devices.is_empty() || FORKED.load(Ordering::Relaxed) {
            return Err(CudaError::NOT_INITIALIZED);
        }
        Ok(self.devices)
    }

    /// A device by its number.
    pub(crate) fn device(&self, number: i32) -> Result<(usize, &'static Device), CudaError> {
        let at = usize::try_from(number).map_err(|_| CudaError::INVALID_DEVICE)?;
        self.devices()?.get(at).map(|device| (at, device)).ok_or(CudaError::INVALID_DEVICE)
    }

    /// The device of this thread's context, and its place.
    pub(crate) fn current(&self) -> Result<(usize, &'static Device), CudaError> {
        let found = current_handle()
            .checked_sub(1)
            .and_then(|at| self.contexts.get(at))
            .filter(|context| context.live);
        let context = found.ok_or(CudaError::INVALID_CONTEXT)?;
        if context.broken {
            return Err(CudaError::ILLEGAL_ADDRESS);
        }
        self.devices()?
            .get(context.device)
            .map(|device| (context.device, device))
            .ok_or(CudaError::INVALID_CONTEXT)
    }

    /// The next meeting of a kernel of this process under this name.
    pub(crate) fn next_meeting(&mut self, name: u64, place: u64, places: u64) -> Result<Meeting, CudaError> {
        let (_, device) = self.current()?;
        let number = self.meetings.entry(name).or_default();
        *number += 1;
        Meeting::open(device.card.state(), name, place, places, *number)
    }

    /// The memory of a device.
    pub(crate) fn arena(&mut self, device: usize) -> &mut Arena {
        self.arenas.entry(device).or_default()
    }

    /// Frees an address that is a pool's: whether it is.
    pub(crate) fn free_of_pool(&mut self, at: u64) -> Result<bool, CudaError> {
        let devices = self.devices()?;
        self.pools.free(at, |device| &devices[device].card)
    }

    /// Frees linear memory on whatever device it is.
    pub(crate) fn free(&mut self, at: u64) -> CudaResult {
        let devices = self.devices()?;
        let found = self.arenas.iter_mut().find(|(_, arena)| arena.holds(at));
        let (device, arena) = found.ok_or(CudaError::INVALID_VALUE)?;
        arena.free(&devices[*device].card, at)
    }
}

/// The process, locked.
pub(crate) fn process() -> MutexGuard<'static, Process> {
    static PROCESS: LazyLock<Mutex<Process>> = LazyLock::new(Mutex::default);
    PROCESS.lock()
}

/// Set in a child of `fork`: the driver works for no child of a process that has begun to use it.
static FORKED: AtomicBool = AtomicBool::new(false);

extern "C" fn forked() {
    FORKED.store(true, Ordering::Relaxed);
}

/// `cuInit`: opens the cards that are visible, once.
pub(crate) fn init() -> Result<(), CudaError> {
    static OPENED: OnceLock<&'static [Device]> = OnceLock::new();
    // Before anything is locked: another thread may have held the lock when the process was forked.
    if FORKED.load(Ordering::Relaxed) {
        return Err(CudaError::NOT_INITIALIZED);
    }
    let devices = OPENED.get_or_init(|| {
        mark_forks();
        Box::leak(open_visible().unwrap_or_default().into_boxed_slice())
    });
    if devices.is_empty() {
        return Err(CudaError::NO_DEVICE);
    }
    process().devices = devices;
    Ok(())
}

fn mark_forks() {
    unsafe extern "C" {
        fn pthread_atfork(
            prepare: Option<extern "C" fn()>,
            parent: Option<extern "C" fn()>,
            child: Option<extern "C" fn()>,
        ) -> i32;
    }
    // SAFETY: the function is this library's, which is never unloaded.
    unsafe { pthread_atfork(None, None, Some(forked)) };
}
