//! What can be found on a device, and how it is read.

use std::io;

use eck_csi::volume::FsType;
use uuid::Uuid;

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

/// A superblock that stands at its place.
pub(super) enum Superblock {
    /// It makes sense: a file system of ours, or one that only others can use.
    Valid(Content),
    /// The magic number is there, the rest is not.
    Broken(Foreign),
}

impl Superblock {
    /// A whole file system that the driver cannot mount.
    pub(super) fn others(what: &str, at: u64) -> Self {
        Self::Valid(Foreign::new(what, at).into())
    }

    pub(super) fn broken(what: &str, at: u64) -> Self {
        Self::Broken(Foreign::new(what, at))
    }
}

impl Foreign {
    pub(super) fn new(what: &str, at: u64) -> Self {
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

/// The most that is read at once, in bytes: large enough for a disk's full speed, small enough for a node program of 12 MiB.
pub(super) const CHUNK: u64 = 1 << 20;
