//! What each pool of this process has reserved of its card, as the driver reports it.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::blocks::whole_blocks;
use super::charge::{Charge, adjust};
use crate::abi::{CUDA_SUCCESS, CUdevice, CUresult, Unsigned};
use crate::cards::{self, Card};
use crate::driver::{DriverFunction, Library};

/// `CUmemoryPool`, opaque.
pub(crate) type Pool = usize;

/// `CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT`
const RESERVED: Unsigned = 5;

/// `CU_MEMPOOL_ATTR_USED_MEM_CURRENT`
const USED: Unsigned = 7;

/// The pools that were allocated from, and what each is charged with.
#[derive(Debug, Default)]
pub(crate) struct Pools(HashMap<Pool, (&'static Card, u64)>);

static POOLS: LazyLock<Mutex<Pools>> = LazyLock::new(Mutex::default);

/// Whether there are any: asked at every synchronisation.
static ANY: AtomicBool = AtomicBool::new(false);

/// The pools, for as long as one call takes: between charging and asking what was reserved nobody else may allocate from them.
pub(crate) fn lock() -> MutexGuard<'static, Pools> {
    POOLS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pools {
    /// An allocation has succeeded: what the pool has reserved now takes the place of what was charged for it.
    pub(crate) fn settle(&mut self, pool: Pool, card: &'static Card, charge: Charge) {
        ANY.store(true, Ordering::Relaxed);
        let (_, charged) = self.0.entry(pool).or_insert((card, 0));
        match reserved(pool) {
            Some(now) => {
                let before = std::mem::replace(charged, now);
                charge.settle_replacing(now, before);
            }
            // A driver that does not report it: everything counts for ever, rather than nothing.
            None => {
                let bytes = charge.bytes();
                *charged += bytes;
                charge.settle(bytes);
            }
        }
    }

    /// Gives what lies unused in a pool back to the card.
    pub(crate) fn trim(&mut self, pool: Pool) {
        static TRIM: DriverFunction<unsafe extern "C" fn(Pool, usize) -> CUresult> =
            DriverFunction::new(Library::Cuda, c"cuMemPoolTrimTo");
        // SAFETY: the signature is cuda.h's, and the caller allocates from this pool.
        unsafe { TRIM.get().map(|trim| trim(pool, 0)) };
        self.refresh(pool);
    }

    fn refresh(&mut self, pool: Pool) {
        if let Some((card, charged)) = self.0.get_mut(&pool)
            && let Some(now) = reserved(pool)
        {
            let before = std::mem::replace(charged, now);
            adjust(card, now, before);
        }
    }
}

/// Asks again what a pool has reserved.
pub(crate) fn refresh(pool: Pool) {
    lock().refresh(pool);
}

/// Asks it of all: after a synchronisation a pool may have given memory back.
pub(crate) fn refresh_all() {
    if ANY.load(Ordering::Relaxed) {
        let mut pools = lock();
        let all: Vec<Pool> = pools.0.keys().copied().collect();
        for pool in all {
            pools.refresh(pool);
        }
    }
}

/// A pool that is about to be destroyed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RemovedPool {
    card: &'static Card,
    charged: u64,
    /// What is still allocated from it outlives it, and counts until the process ends.
    outlives: u64,
}

/// Takes a pool out, still charged, before the driver destroys it.
pub(crate) fn remove(pool: Pool) -> Option<RemovedPool> {
    let mut pools = lock();
    pools.refresh(pool);
    let (card, charged) = pools.0.remove(&pool)?;
    let used = attribute(pool, USED).and_then(whole_blocks);
    Some(RemovedPool { card, charged, outlives: used.unwrap_or(charged).min(charged) })
}

/// The driver has destroyed it, or not.
pub(crate) fn finish_destroy(pool: Pool, removed: Option<RemovedPool>, destroyed: bool) {
    match removed {
        Some(removed) if !destroyed => drop(lock().0.insert(pool, (removed.card, removed.charged))),
        Some(removed) => adjust(removed.card, removed.outlives, removed.charged),
        None => {}
    }
}

/// What a pool has reserved, in bytes of whole blocks.
fn reserved(pool: Pool) -> Option<u64> {
    attribute(pool, RESERVED).and_then(whole_blocks)
}

fn attribute(pool: Pool, attribute: Unsigned) -> Option<u64> {
    static GET: DriverFunction<unsafe extern "C" fn(Pool, Unsigned, *mut c_void) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuMemPoolGetAttribute");
    let mut bytes: u64 = 0;
    // SAFETY: the signature is cuda.h's, and these attributes are cuuint64_t.
    let result = unsafe { GET.get()?(pool, attribute, (&raw mut bytes).cast()) };
    (result == CUDA_SUCCESS).then_some(bytes)
}

/// The pool that `cuMemAllocAsync` allocates from.
pub(crate) fn current_device_pool() -> Option<Pool> {
    static GET: DriverFunction<unsafe extern "C" fn(*mut Pool, CUdevice) -> CUresult> =
        DriverFunction::new(Library::Cuda, c"cuDeviceGetMemPool");
    let (device, mut pool) = (cards::current_device().ok()?, 0);
    // SAFETY: the signature is cuda.h's, and what it writes to is on this stack.
    let result = unsafe { GET.get()?(&raw mut pool, device) };
    (result == CUDA_SUCCESS).then_some(pool)
}
