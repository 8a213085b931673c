//! The buffers that devices are read into: aligned for O_DIRECT, and a few of them kept, since the allocator would keep one for
//! each thread that ever read.

use parking_lot::Mutex;

use super::types::{BLOCK, CHUNK};

/// Buffers that are kept: as many as mkfs run at once (`host/command.rs`), 4 MiB. A probe never waits for one: a disk that hangs
/// must not hold up another.
const KEPT: usize = 4;

/// Buffers that nobody uses.
static POOL: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A buffer; goes back when dropped.
pub(super) struct Buffer(Vec<u8>);

/// A buffer.
pub(super) fn take() -> Buffer {
    let kept = POOL.lock().pop();
    Buffer(kept.unwrap_or_else(|| vec![0; (CHUNK + BLOCK) as usize]))
}

impl Buffer {
    /// Its [`CHUNK`] bytes, the first at a multiple of [`BLOCK`].
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        let start = self.0.as_ptr().align_offset(BLOCK as usize);
        &mut self.0[start..start + CHUNK as usize]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut pool = POOL.lock();
        if pool.len() < KEPT {
            pool.push(std::mem::take(&mut self.0));
        }
    }
}
