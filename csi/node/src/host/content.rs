//! What a block device holds, read from the device itself.
//!
//! Two questions, kept apart. *What is it?* is answered from the first and the last MiB, by superblocks and signatures.
//! *Is it blank?* is answered by zeros alone: every place that [`Depth`] asks for is read, and one byte that is not zero
//! makes the device somebody's. The tables of signatures give names to what is found; nothing depends on them.

use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use eck_csi::volume::FsType;
use uuid::Uuid;

mod buffers;
mod crc;
mod ext;
mod fat;
mod fields;
mod luks;
mod mbr;
mod places;
mod signatures;
mod window;
mod xfs;

pub use luks::begun;
pub(super) use places::sampled;
use window::Window;

/// How much of a device must read as zero before it counts as blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every place that a signature or a backup superblock could occupy: for a disk that this driver ordered empty itself.
    Sampled,
    /// Every byte: for a disk of unknown past.
    Whole,
}

/// A file system's identity on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsId {
    /// ext3, ext4, xfs.
    Uuid(Uuid),
    /// The volume serial number of a FAT file system.
    Fat(u32),
}

/// A file system that the driver can mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formatted {
    /// Which.
    pub fs: FsType,
    /// Its identity.
    pub id: FsId,
    /// Bytes that the file system spans.
    pub size_bytes: u64,
    /// False if its own flags ask for a check before it is mounted.
    pub clean: bool,
}

/// Data of anybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// In words, e.g. `a LUKS 2 header` or `data that nobody knows`.
    pub what: String,
    /// Where it was found, in bytes from the start.
    pub at: u64,
}

/// What a device holds. That it cannot be read is an error and never one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A file system of the guide's list.
    Formatted(Formatted),
    /// A LUKS2 header: what it says is for cryptsetup to read.
    Luks2,
    /// A LUKS2 header with this UUID was to be made on the blank disk, and is not whole.
    Begun(Uuid),
    /// Anything else that is not zero.
    Foreign(Foreign),
    /// Zeros, as far as [`Depth`] asks.
    Blank,
}

/// Something that is read at a place. `buffer` and `at` are multiples of [`BLOCK`] or end at the device's end.
pub trait ReadAt {
    /// Fills the buffer.
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;
}

/// Alignment of O_DIRECT reads in bytes: the largest logical block size of a disk.
pub const BLOCK: u64 = 4096;

/// A read that failed, and where.
#[derive(Debug)]
pub struct ReadError {
    /// Byte.
    pub at: u64,
    /// The kernel's answer.
    pub source: io::Error,
}

/// The most that is read at once, in bytes: large enough for a disk's full speed, small enough for a node program of 12 MiB.
const CHUNK: u64 = 1 << 20;

/// Reads that are under way at once. On a loop device the two looks before a mkfs then take 14 ms, not 25, and a cloud disk
/// answers each read far later than a loop device does.
const LANES: u64 = 8;

/// What one of them asks for, in bytes.
const PIECE: u64 = CHUNK / LANES;

/// Stack of a lane's thread in bytes: it reads and compares.
const STACK: usize = 64 << 10;

/// A superblock that stands at its place.
enum Superblock {
    /// It makes sense: a file system of ours, or one that only others can use.
    Valid(Content),
    /// The magic number is there, the rest is not.
    Broken(Foreign),
}

impl Superblock {
    /// A whole file system that the driver cannot mount.
    fn others(what: &str, at: u64) -> Self {
        Self::Valid(Foreign::new(what, at).into())
    }

    fn broken(what: &str, at: u64) -> Self {
        Self::Broken(Foreign::new(what, at))
    }
}

impl Foreign {
    fn new(what: &str, at: u64) -> Self {
        Self { what: what.to_owned(), at }
    }
}

impl Content {
    /// What whoever wants a blank disk or a file system in the clear is told of anything else.
    pub(crate) fn refusal(&self) -> Foreign {
        match self {
            Self::Formatted(found) => Foreign { what: format!("a file system ({})", found.fs), at: 0 },
            Self::Luks2 => Foreign::new("a LUKS 2 header", 0),
            Self::Begun(_) => Foreign::new("a LUKS 2 header that was begun", 0),
            Self::Foreign(found) => found.clone(),
            Self::Blank => Foreign::new("nothing", 0),
        }
    }
}

impl From<Foreign> for Content {
    fn from(foreign: Foreign) -> Self {
        Self::Foreign(foreign)
    }
}

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
        Depth::Sampled => places::sampled(size),
        Depth::Whole => std::iter::once(0..size).collect(),
    };
    let data = reader.first_data(&places)?;
    Ok(data.map_or(Content::Blank, Content::Foreign))
}

/// Reads the first and the last block: whether the device answers.
pub fn ends(device: &(impl ReadAt + Sync), size: u64) -> Result<(), ReadError> {
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
    let system = system(&head);
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
fn system(head: &Window<'_>) -> Option<Content> {
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
            let mut first = held(&found);
            if first.as_ref().is_none_or(|(before, _)| at < *before) {
                *first = Some((at, what));
            }
        };
        let lane = |buffer: &mut [u8]| loop {
            // Pieces are given out in ascending order: when one tells something, all before it are told or under way.
            let piece = held(&next).next().filter(|_| held(&found).is_none());
            let Some(piece) = piece else { return };
            let bytes = &mut buffer[..(piece.end - piece.start) as usize];
            match device.read_exact_at(bytes, piece.start) {
                Err(source) => seen(piece.start, Err(ReadError { at: piece.start, source })),
                Ok(()) => {
                    if let Some(data) = Window::new(piece.start, bytes).first_data() {
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
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.map(|(_, what)| what).transpose()
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
