//! What a block device holds, read from the device itself.
//!
//! Two questions, kept apart. *What is it?* is answered from the first and the last MiB, by superblocks and signatures.
//! *Is it blank?* is answered by zeros alone: every place that [`Depth`] asks for is read, and one byte that is not zero
//! makes the device somebody's. The tables of signatures give names to what is found; nothing depends on them.

use std::io;
use std::ops::Range;

use parking_lot::Mutex;

mod buffers;
mod crc;
mod ext;
mod fat;
mod fields;
mod luks;
mod mbr;
mod sample_ranges;
mod signatures;
mod types;
mod window;
mod xfs;

pub use luks::begun;
pub(super) use sample_ranges::sampled;
pub use types::{BLOCK, Content, Depth, Foreign, Formatted, FsId, ReadAt, ReadError};
use types::{CHUNK, Superblock};
use window::Window;

/// Reads that are under way at once. On a loop device the two looks before a mkfs then take 14 ms, not 25, and a cloud disk
/// answers each read far later than a loop device does.
const LANES: u64 = 8;

/// What one of them asks for, in bytes.
const PIECE: u64 = CHUNK / LANES;

/// Stack of a lane's thread in bytes: it reads and compares.
const STACK: usize = 64 << 10;

/// Reads what a device of `size` bytes holds: the first and the last MiB, and, if nothing is recognised there, every place
/// that `depth` asks for. One failed read is the end: of a device that cannot be read nothing is known.
pub fn read(device: &(impl ReadAt + Sync), size: u64, depth: Depth) -> Result<Content, ReadError> {
    if size == 0 {
        // An unconfigured loop device, or a disk that went away: no bytes are not zero bytes.
        return Err(ReadError { at: 0, source: io::ErrorKind::UnexpectedEof.into() });
    }
    let mut buffer = buffers::take();
    let mut reader = Reader { device, size, buffer: buffer.bytes() };
    if let Some(content) = recognise(&mut reader)? {
        return Ok(content);
    }
    let places = match depth {
        Depth::Sampled => sample_ranges::sampled(size),
        Depth::Whole => std::iter::once(0..size).collect(),
    };
    let data = reader.first_data(&places)?;
    Ok(data.map_or(Content::Blank, Content::Foreign))
}

/// Reads the first and the last block: whether the device answers.
pub fn read_ends(device: &(impl ReadAt + Sync), size: u64) -> Result<(), ReadError> {
    if size == 0 {
        return Err(ReadError { at: 0, source: io::ErrorKind::UnexpectedEof.into() });
    }
    let mut buffer = buffers::take();
    let mut reader = Reader { device, size, buffer: buffer.bytes() };
    reader.window(0..size.min(BLOCK))?;
    reader.window((size - 1) / BLOCK * BLOCK..size).map(drop)
}

/// What the ends of the device say, or `None` when they carry no known sign. In this order: an owner of the whole device
/// at its start, then a file system, unless an owner at the end (a RAID member) says that it is only a part, then any
/// other sign.
fn recognise(reader: &mut Reader<'_, impl ReadAt + Sync>) -> Result<Option<Content>, ReadError> {
    let size = reader.size;
    let head = reader.window(0..size.min(CHUNK))?;
    if let Some(encrypted) = luks::sign(&head) {
        return Ok(Some(encrypted));
    }
    if let Some(owner) = signatures::owner_at_start(&head, size) {
        return Ok(Some(owner.into()));
    }
    let system = filesystem_at_start(&head);
    let named = signatures::at_start(&head);
    let tail = reader.window(size.saturating_sub(CHUNK).next_multiple_of(BLOCK)..size)?;
    Ok(match system {
        Some(Content::Formatted(fs)) => {
            let owner = signatures::owner_at_end(&tail, size, fs.size_bytes);
            Some(owner.map_or(Content::Formatted(fs), Content::Foreign))
        }
        Some(foreign) => Some(foreign),
        None => named.or_else(|| signatures::at_end(&tail, size)).map(Content::Foreign),
    })
}

/// The file system whose superblock is in the first MiB. Two whole ones are nobody's: each would be right for its kernel
/// driver, and mounting the wrong one destroys the other.
fn filesystem_at_start(head: &Window<'_>) -> Option<Content> {
    let (mut valid, mut broken) = (Vec::new(), None);
    for superblock in
        [xfs::superblock(head), ext::superblock(head), fat::superblock(head)].into_iter().flatten()
    {
        match superblock {
            Superblock::Valid(content) => valid.push(content),
            Superblock::Broken(foreign) => broken = broken.or(Some(foreign)),
        }
    }
    match valid.len() {
        0 => broken.map(Content::Foreign),
        1 => valid.pop(),
        _ => Some(Foreign::new("the superblocks of two file systems at once", 0).into()),
    }
}

/// A device, its size, and the one buffer for all reads.
struct Reader<'a, R> {
    device: &'a R,
    size: u64,
    buffer: &'a mut [u8],
}

impl<R: ReadAt + Sync> Reader<'_, R> {
    /// Reads at most [`CHUNK`] bytes.
    fn window(&mut self, range: Range<u64>) -> Result<Window<'_>, ReadError> {
        let failed = |source| ReadError { at: range.start, source };
        let len = usize::try_from(range.end.saturating_sub(range.start));
        let bytes = len.ok().and_then(|len| self.buffer.get_mut(..len));
        let bytes = bytes.ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        self.device.read_exact_at(bytes, range.start).map_err(failed)?;
        Ok(Window::new(range.start, bytes))
    }

    /// The first byte of the places that is not zero, with a name if the block it stands in has one. [`LANES`] reads are
    /// under way at once: a disk's answer takes long, and most places are one block.
    fn first_data(&mut self, places: &[Range<u64>]) -> Result<Option<Foreign>, ReadError> {
        let (device, next) = (self.device, Mutex::new(pieces(places)));
        let found = Mutex::new(None::<(u64, Result<Foreign, ReadError>)>);
        let seen = |at: u64, what: Result<Foreign, ReadError>| {
            let mut first = found.lock();
            if first.as_ref().is_none_or(|(before, _)| at < *before) {
                *first = Some((at, what));
            }
        };
        let lane = |buffer: &mut [u8]| loop {
            // Pieces are given out in ascending order: when one tells something, all before it are told or under way.
            let piece = next.lock().next().filter(|_| found.lock().is_none());
            let Some(piece) = piece else { return };
            let bytes = &mut buffer[..(piece.end - piece.start) as usize];
            match device.read_exact_at(bytes, piece.start) {
                Err(source) => seen(piece.start, Err(ReadError { at: piece.start, source })),
                Ok(()) => {
                    if let Some(data) = first_data(&Window::new(piece.start, bytes)) {
                        seen(piece.start, Ok(data));
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for buffer in self.buffer.chunks_exact_mut(PIECE as usize) {
                let (lane, thread) = (&lane, std::thread::Builder::new().stack_size(STACK));
                // A thread that cannot be had is a lane less.
                let _ = thread.spawn_scoped(scope, move || lane(buffer));
            }
        });
        // What is left if no thread could be had; else nothing.
        lane(&mut self.buffer[..PIECE as usize]);
        let found = found.into_inner();
        found.map(|(_, what)| what).transpose()
    }
}

/// The first byte of the window that is not zero, named by the block that it stands in.
fn first_data(window: &Window<'_>) -> Option<Foreign> {
    let (block, at) = window.first_data()?;
    Some(signatures::anywhere(&block).unwrap_or_else(|| Foreign::new("data that nobody knows", at)))
}

/// The places in pieces of at most [`PIECE`] bytes, in ascending order.
fn pieces(places: &[Range<u64>]) -> impl Iterator<Item = Range<u64>> + '_ {
    places.iter().flat_map(|place| {
        let end = place.end;
        (place.start..end).step_by(PIECE as usize).map(move |at| at..end.min(at + PIECE))
    })
}

#[cfg(test)]
mod tests;
