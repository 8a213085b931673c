//! What a block device holds, read from the device itself.
//!
//! Two questions, kept apart. *What is it?* is answered from the first and the last MiB, by superblocks and signatures.
//! *Is it blank?* is answered by zeros alone: every place that [`Depth`] asks for is read, and one byte that is not zero
//! makes the device somebody's. The tables of signatures give names to what is found; nothing depends on them.

use std::io;
use std::ops::Range;

use eck_csi::volume::FsType;
use uuid::Uuid;

mod crc;
mod ext;
mod fat;
mod fields;
mod mbr;
mod places;
mod signatures;
mod window;
mod xfs;

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

impl From<Foreign> for Content {
    fn from(foreign: Foreign) -> Self {
        Self::Foreign(foreign)
    }
}

/// Reads what a device of `size` bytes holds: the first and the last MiB, and, if nothing is recognised there, every place
/// that `depth` asks for. One failed read is the end: of a device that cannot be read nothing is known.
pub fn read(device: &impl ReadAt, size: u64, depth: Depth) -> Result<Content, ReadError> {
    if size == 0 {
        // An unconfigured loop device, or a disk that went away: no bytes are not zero bytes.
        return Err(ReadError { at: 0, source: io::ErrorKind::UnexpectedEof.into() });
    }
    let mut reader = Reader { device, size, buffer: vec![0; CHUNK as usize] };
    if let Some(content) = recognise(&mut reader)? {
        return Ok(content);
    }
    let places = match depth {
        Depth::Sampled => places::sampled(size),
        Depth::Whole => std::iter::once(0..size).collect(),
    };
    for place in places {
        if let Some(foreign) = reader.first_data(place)? {
            return Ok(foreign.into());
        }
    }
    Ok(Content::Blank)
}

/// What the ends of the device say, or `None` when they carry no known sign. In this order: an owner of the whole device
/// at its start, then a file system, unless an owner at the end (a RAID member) says that it is only a part, then any
/// other sign.
fn recognise(reader: &mut Reader<'_, impl ReadAt>) -> Result<Option<Content>, ReadError> {
    let size = reader.size;
    let head = reader.window(0..size.min(CHUNK))?;
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
    buffer: Vec<u8>,
}

impl<R: ReadAt> Reader<'_, R> {
    /// Reads at most [`CHUNK`] bytes.
    fn window(&mut self, range: Range<u64>) -> Result<Window<'_>, ReadError> {
        let failed = |source| ReadError { at: range.start, source };
        let len = usize::try_from(range.end.saturating_sub(range.start));
        let bytes = len.ok().and_then(|len| self.buffer.get_mut(..len));
        let bytes = bytes.ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        self.device.read_exact_at(bytes, range.start).map_err(failed)?;
        Ok(Window::new(range.start, bytes))
    }

    /// The first byte of the range that is not zero, with a name if the block it stands in has one.
    fn first_data(&mut self, range: Range<u64>) -> Result<Option<Foreign>, ReadError> {
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + CHUNK);
            if let Some(data) = self.window(at..end)?.first_data() {
                return Ok(Some(data));
            }
            at = end;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
