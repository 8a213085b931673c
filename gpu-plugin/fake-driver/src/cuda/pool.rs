//! Stream-ordered memory. What is freed stays with its pool until a synchronisation or a trim, as far as the threshold lets it.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_uint, c_void};

use super::abi::{Done, Fault, call, get, put};
use super::memory::BLOCK;
use super::process::{Device, Process, current, device, devices, process};
use super::stream::Key;

/// A pool.
#[derive(Debug)]
pub(crate) struct Pool {
    handle: usize,
    device: usize,
    /// What `cuDeviceGetMemPool` gives.
    default: bool,
    live: bool,
    threshold: u64,
    /// By address: bytes in whole blocks, and whether it is in use.
    parts: BTreeMap<u64, (u64, bool)>,
}

impl Pool {
    fn sum(&self, used_only: bool) -> u64 {
        self.parts.values().filter(|(_, used)| *used || !used_only).map(|(bytes, _)| bytes).sum()
    }

    /// Gives back what is not in use until no more than `keep` bytes are left.
    fn trim(&mut self, device: &Device, keep: u64) {
        let unused: Vec<u64> = self.parts.iter().filter(|(_, (_, used))| !used).map(|(at, _)| *at).collect();
        for at in unused {
            if self.sum(false) <= keep {
                return;
            }
            if let Some((bytes, _)) = self.parts.remove(&at) {
                super::memory::unmap(at, bytes);
                device.card.release(bytes);
            }
        }
    }

    fn allocate(&mut self, device: &Device, bytes: u64) -> Result<u64, Fault> {
        let whole =
            bytes.checked_next_multiple_of(BLOCK).filter(|whole| *whole > 0).ok_or(Fault::INVALID_VALUE)?;
        // Exactly as large, or new: what is cut up cannot be given back in part.
        if let Some((at, part)) = self.parts.iter_mut().find(|(_, (bytes, used))| !used && *bytes == whole) {
            part.1 = true;
            return Ok(*at);
        }
        device.card.reserve(whole)?;
        let at = super::memory::map(whole).inspect_err(|_| device.card.release(whole))?;
        self.parts.insert(at, (whole, true));
        Ok(at)
    }
}

impl Process {
    fn pool(&mut self, handle: usize) -> Result<&mut Pool, Fault> {
        self.pools.iter_mut().find(|pool| pool.handle == handle && pool.live).ok_or(Fault::INVALID_HANDLE)
    }

    fn default_pool(&mut self, at: usize) -> usize {
        if let Some(pool) = self.pools.iter().find(|pool| pool.default && pool.device == at) {
            return pool.handle;
        }
        self.new_pool(at, true)
    }

    fn new_pool(&mut self, at: usize, default: bool) -> usize {
        let handle = self.handle();
        let parts = BTreeMap::new();
        self.pools.push(Pool { handle, device: at, default, live: true, threshold: 0, parts });
        handle
    }

    /// Whether an address is a pool's; then it is free.
    pub(crate) fn pool_frees(&mut self, at: u64) -> Result<bool, Fault> {
        for pool in &mut self.pools {
            match pool.parts.get_mut(&at) {
                Some((_, used)) if *used => *used = false,
                Some(_) => return Err(Fault::INVALID_VALUE),
                None => continue,
            }
            if !pool.live {
                pool.trim(&devices()?[pool.device], 0);
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// A synchronisation: pools give back what is over their thresholds.
    pub(crate) fn settle_pools(&mut self) {
        for pool in &mut self.pools {
            if let Ok(devices) = devices() {
                pool.trim(&devices[pool.device], pool.threshold);
            }
        }
    }
}

fn allocate(place: *mut u64, bytes: usize, from: Option<usize>, stream: Key) -> c_uint {
    call(|| {
        let mut process = process();
        let (at, _) = current(&process)?;
        if process.capture_allocates(stream, bytes as u64)? {
            return put(place, BLOCK);
        }
        let handle = from.unwrap_or_else(|| process.default_pool(at));
        let pool = process.pool(handle)?;
        let device = &devices()?[pool.device];
        let address = pool.allocate(device, bytes as u64)?;
        put(place, address)
    })
}

fn free(at: u64) -> c_uint {
    call(|| {
        let mut process = process();
        current(&process)?;
        if process.pool_frees(at)? { Ok(()) } else { super::memory::free_anywhere(&mut process, at) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAllocAsync(place: *mut u64, bytes: usize, stream: usize) -> c_uint {
    allocate(place, bytes, None, Key::legacy(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAllocAsync_ptsz(place: *mut u64, bytes: usize, stream: usize) -> c_uint {
    allocate(place, bytes, None, Key::per_thread(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAllocFromPoolAsync(place: *mut u64, bytes: usize, pool: usize, stream: usize) -> c_uint {
    allocate(place, bytes, Some(pool), Key::legacy(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeAsync(at: u64, _stream: usize) -> c_uint {
    free(at)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeAsync_ptsz(at: u64, _stream: usize) -> c_uint {
    free(at)
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetMemPool(pool: *mut usize, number: c_int) -> c_uint {
    call(|| {
        let (at, _) = device(number)?;
        put(pool, process().default_pool(at))
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetDefaultMemPool(pool: *mut usize, number: c_int) -> c_uint {
    cuDeviceGetMemPool(pool, number)
}

/// `CUmemPoolProps`, as far as it is read: its location's number is its fourth.
#[unsafe(no_mangle)]
extern "C" fn cuMemPoolCreate(pool: *mut usize, properties: *const [c_int; 4]) -> c_uint {
    call(|| {
        let (at, _) = device(get(properties)?[3])?;
        let handle = process().new_pool(at, false);
        put(pool, handle)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolDestroy(handle: usize) -> c_uint {
    call(|| {
        let mut process = process();
        current(&process)?;
        let pool = process.pool(handle)?;
        if pool.default {
            return Err(Fault::INVALID_VALUE);
        }
        pool.live = false;
        pool.trim(&devices()?[pool.device], 0);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolTrimTo(handle: usize, keep: usize) -> c_uint {
    call(|| {
        let mut process = process();
        let pool = process.pool(handle)?;
        pool.trim(&devices()?[pool.device], keep as u64);
        Ok(())
    })
}

/// `CU_MEMPOOL_ATTR_…`: 4 the threshold, 5 reserved, 7 used.
#[unsafe(no_mangle)]
extern "C" fn cuMemPoolGetAttribute(handle: usize, attribute: c_uint, value: *mut c_void) -> c_uint {
    call(|| -> Done {
        let mut process = process();
        let pool = process.pool(handle)?;
        let told = match attribute {
            4 => pool.threshold,
            5 => pool.sum(false),
            7 => pool.sum(true),
            _ => return Err(Fault::INVALID_VALUE),
        };
        put(value.cast::<u64>(), told)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolSetAttribute(handle: usize, attribute: c_uint, value: *mut c_void) -> c_uint {
    call(|| {
        let mut process = process();
        let pool = process.pool(handle)?;
        match attribute {
            4 => pool.threshold = get(value.cast::<u64>())?,
            _ => return Err(Fault::INVALID_VALUE),
        }
        Ok(())
    })
}
