//! Linear memory: large allocations in whole blocks of 2 MiB, small ones several to a block.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{c_int, c_uint, c_void};

use super::abi::{Done, Fault, call, put};
use super::process::{Device, Process, current, devices, process};

/// Bytes of a block.
pub(crate) const BLOCK: u64 = 2 << 20;

/// What every address is a multiple of, in bytes: CUDA promises no less.
const ALIGNED: u64 = 256;

/// Rows of pitched memory are multiples of this, in bytes.
const PITCH: usize = 512;

unsafe extern "C" {
    fn mmap(
        at: *mut c_void,
        size: usize,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn munmap(at: *mut c_void, size: usize) -> c_int;
}

/// Addresses for so many bytes, aligned to blocks, with memory behind them as it is touched.
pub(crate) fn map(bytes: u64) -> Result<u64, Fault> {
    /// `MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE` (asm-generic/mman.h)
    const FLAGS: c_int = 0x2 | 0x20 | 0x4000;
    let whole =
        bytes.checked_add(BLOCK).and_then(|bytes| usize::try_from(bytes).ok()).ok_or(Fault::OUT_OF_MEMORY)?;
    // SAFETY: a new private mapping; nothing of ours lies there.
    let at = unsafe { mmap(std::ptr::null_mut(), whole, 3, FLAGS, -1, 0) } as u64;
    if at == u64::MAX {
        return Err(Fault::OUT_OF_MEMORY);
    }
    let aligned = at.next_multiple_of(BLOCK);
    // What is before and behind goes back.
    unmap(at, aligned - at);
    unmap(aligned + bytes, at + whole as u64 - aligned - bytes);
    Ok(aligned)
}

/// Gives addresses back.
pub(crate) fn unmap(at: u64, bytes: u64) {
    if bytes > 0 {
        // SAFETY: a part of a mapping of `map`, which nobody uses any more; whole pages, since both ends are.
        unsafe { munmap(at as *mut c_void, bytes as usize) };
    }
}

/// The memory of one device in this process.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    /// By address: context, bytes as asked for, bytes taken from the card by itself.
    pub(crate) taken: BTreeMap<u64, (usize, u64, u64)>,
    /// Managed memory by address: context, bytes, and bytes of them that the card had room for.
    pub(crate) managed: BTreeMap<u64, (usize, u64, u64)>,
    /// Blocks of small allocations: which parts of 256 bytes are taken, by address and length.
    blocks: HashMap<u64, BTreeMap<u64, u64>>,
}

impl Arena {
    pub(crate) fn allocate(&mut self, device: &Device, context: usize, bytes: u64) -> Result<u64, Fault> {
        if bytes == 0 {
            return Err(Fault::INVALID_VALUE);
        }
        let (at, cost) = if bytes < BLOCK {
            (self.small(device, bytes)?, 0)
        } else {
            let whole = bytes.checked_next_multiple_of(BLOCK).ok_or(Fault::OUT_OF_MEMORY)?;
            device.card.reserve(whole)?;
            (map(whole).inspect_err(|_| device.card.release(whole))?, whole)
        };
        self.taken.insert(at, (context, bytes, cost));
        Ok(at)
    }

    /// The first room in a block that is there, or a new block.
    fn small(&mut self, device: &Device, bytes: u64) -> Result<u64, Fault> {
        let length = bytes.next_multiple_of(ALIGNED);
        for (block, parts) in &mut self.blocks {
            let mut free = *block;
            for (at, taken) in parts.iter() {
                if at - free >= length {
                    break;
                }
                free = at + taken;
            }
            if free + length <= block + BLOCK {
                parts.insert(free, length);
                return Ok(free);
            }
        }
        device.card.reserve(BLOCK)?;
        let block = map(BLOCK).inspect_err(|_| device.card.release(BLOCK))?;
        self.blocks.insert(block, BTreeMap::from([(block, length)]));
        Ok(block)
    }

    pub(crate) fn holds(&self, at: u64) -> bool {
        self.taken.contains_key(&at) || self.managed.contains_key(&at)
    }

    /// Where what an address lies in begins, and its bytes.
    pub(crate) fn range(&self, at: u64) -> Option<(u64, u64)> {
        let inside = |all: &BTreeMap<u64, (usize, u64, u64)>| {
            let (start, (_, bytes, _)) = all.range(..=at).next_back()?;
            (at - start < *bytes).then_some((*start, *bytes))
        };
        inside(&self.taken).or_else(|| inside(&self.managed))
    }

    /// Everything that was made in a context.
    pub(crate) fn of_context(&self, context: usize) -> Vec<u64> {
        let all = self.taken.iter().chain(&self.managed);
        all.filter(|(_, (of, ..))| *of == context).map(|(at, _)| *at).collect()
    }

    pub(crate) fn free(&mut self, device: &Device, at: u64) -> Done {
        if let Some((_, bytes, on_card)) = self.managed.remove(&at) {
            unmap(at, bytes);
            device.card.release(on_card);
            return Ok(());
        }
        let (_, _, cost) = self.taken.remove(&at).ok_or(Fault::INVALID_VALUE)?;
        if cost > 0 {
            unmap(at, cost);
            device.card.release(cost);
            return Ok(());
        }
        let block = at / BLOCK * BLOCK;
        let parts = self.blocks.get_mut(&block).ok_or(Fault::INVALID_VALUE)?;
        parts.remove(&at);
        if parts.is_empty() {
            self.blocks.remove(&block);
            unmap(block, BLOCK);
            device.card.release(BLOCK);
        }
        Ok(())
    }
}

/// Frees an address on whatever device it is.
pub(crate) fn free_anywhere(process: &mut Process, at: u64) -> Done {
    let all = process.arenas.iter_mut().find(|(_, arena)| arena.holds(at));
    let (device, arena) = all.ok_or(Fault::INVALID_VALUE)?;
    arena.free(&devices()?[*device], at)
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn cuMemAlloc_v2(place: *mut u64, bytes: usize) -> c_uint {
    call(|| {
        let mut process = process();
        let (at, device) = current(&process)?;
        let context = super::process::current_handle();
        let address = process.arena(at).allocate(device, context, bytes as u64)?;
        put(place, address)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAllocPitch_v2(
    place: *mut u64,
    pitch: *mut usize,
    width: usize,
    height: usize,
    _element: c_uint,
) -> c_uint {
    let row = width.next_multiple_of(PITCH);
    match row.checked_mul(height) {
        Some(bytes) => match cuMemAlloc_v2(place, bytes) {
            0 => call(|| put(pitch, row)),
            error => error,
        },
        None => Fault::OUT_OF_MEMORY.0,
    }
}

/// Managed memory is never refused: what the card has no room for lies in the machine's, here each allocation as a whole.
#[unsafe(no_mangle)]
extern "C" fn cuMemAllocManaged(place: *mut u64, bytes: usize, _flags: c_uint) -> c_uint {
    call(|| {
        let mut process = process();
        let (at, device) = current(&process)?;
        let whole = (bytes as u64)
            .checked_next_multiple_of(BLOCK)
            .filter(|whole| *whole > 0)
            .ok_or(Fault::INVALID_VALUE)?;
        let address = map(whole)?;
        let on_card = if device.card.reserve(whole).is_ok() { whole } else { 0 };
        let context = super::process::current_handle();
        process.arena(at).managed.insert(address, (context, whole, on_card));
        put(place, address)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn cuMemFree_v2(at: u64) -> c_uint {
    call(|| {
        current(&process())?;
        super::stream::wait_all();
        let mut process = process();
        if process.pool_frees(at)? { Ok(()) } else { free_anywhere(&mut process, at) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> c_uint {
    call(|| {
        let (_, device) = current(&process())?;
        put(free, device.card.capacity().saturating_sub(device.card.used()) as usize)?;
        put(total, device.card.capacity() as usize)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemGetAddressRange_v2(base: *mut u64, bytes: *mut usize, at: u64) -> c_uint {
    call(|| {
        let process = process();
        let (start, length) =
            process.arenas.values().find_map(|arena| arena.range(at)).ok_or(Fault::NOT_FOUND)?;
        if !base.is_null() {
            put(base, start)?;
        }
        if bytes.is_null() { Ok(()) } else { put(bytes, length as usize) }
    })
}
