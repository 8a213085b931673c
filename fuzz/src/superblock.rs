//! What a disk holds: an image made of a head, a tail and one place between, read at both depths.
//!
//! An input is the device's size (1 byte, out of [`SIZES`]), a place (4 bytes, in units of [`UNIT`]) with its length (1 byte), the tail's
//! length (2 bytes), whether the place can be read (1 byte), the place's bytes, the tail's, and the head's.

use std::io;

use eck_csi::volume::FsType;
use eck_csi_node::host::content::{self, Content, Depth, ReadAt};

use crate::input::Input;

const MIB: u64 = 1 << 20;

/// Sizes with every kind of end; the last two are read in samples only.
const SIZES: [u64; 10] = [512, 4096, 4608, 65_536, MIB, MIB + 512, 3 * MIB, 5 * MIB, 300 * MIB, 20 << 30];

/// Read whole up to this size: a larger one would take too long.
const WHOLE: u64 = 5 * MIB;

/// The place's unit: with 32 bits it reaches every superblock and backup of the largest size.
const UNIT: u64 = 64;

/// A device of zeros with some bytes on it.
struct Disk<'a> {
    size: u64,
    parts: [(u64, &'a [u8]); 3],
    /// Where it cannot be read.
    bad: Option<u64>,
}

impl ReadAt for Disk<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let end = at + buffer.len() as u64;
        assert!(end <= self.size && at.is_multiple_of(content::BLOCK), "{at} to {end} of {}", self.size);
        assert!(end.is_multiple_of(content::BLOCK) || end == self.size, "{at} to {end} of {}", self.size);
        if self.bad.is_some_and(|bad| (at..end).contains(&bad)) {
            return Err(io::Error::from_raw_os_error(5));
        }
        buffer.fill(0);
        for (start, bytes) in self.parts {
            let (from, to) = (start.max(at), (start + bytes.len() as u64).min(end));
            if from < to {
                let source = &bytes[(from - start) as usize..(to - start) as usize];
                buffer[(from - at) as usize..(to - at) as usize].copy_from_slice(source);
            }
        }
        Ok(())
    }
}

impl<'a> Disk<'a> {
    fn of(input: &'a [u8]) -> Self {
        let mut input = Input::new(input);
        let size = SIZES[usize::from(input.byte()) % SIZES.len()];
        let place = u64::from(input.four()) * UNIT % size;
        let (place_bytes, tail, bad) = (usize::from(input.byte()), usize::from(input.two()), input.byte());
        let fits = |bytes: &'a [u8], room: u64| &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(0))];
        let middle = fits(input.bytes(place_bytes), size - place);
        let tail = fits(input.bytes(tail), size);
        let head = fits(input.rest(), size);
        let parts = [(0, head), (size - tail.len() as u64, tail), (place, middle)];
        Self { size, parts, bad: (bad & 1 == 1).then_some(place) }
    }

    /// The bytes of a place, as they are read.
    fn at(&self, at: u64, count: usize) -> Vec<u8> {
        let healthy = Disk { bad: None, ..*self };
        let start = at / content::BLOCK * content::BLOCK;
        let end = (at + count as u64).next_multiple_of(content::BLOCK).min(self.size);
        let mut buffer = vec![0; end.saturating_sub(start) as usize];
        assert!(healthy.read_exact_at(&mut buffer, start).is_ok());
        buffer.into_iter().skip((at - start) as usize).take(count).collect()
    }

    fn data(&self, parts: &[usize]) -> bool {
        // What lies under another part is not there.
        let seen = |(at, bytes): &(u64, &[u8])| self.at(*at, bytes.len()).iter().any(|byte| *byte != 0);
        parts.iter().any(|part| seen(&self.parts[*part]))
    }
}

pub(crate) fn run(bytes: &[u8]) {
    let disk = Disk::of(bytes);
    let bad = disk.bad;
    let healthy = Disk { bad: None, ..disk };
    let Ok(sampled) = content::read(&healthy, disk.size, Depth::Sampled) else {
        panic!("a device that can be read is read");
    };
    plausible(&healthy, &sampled);
    if sampled == Content::Blank {
        assert!(!healthy.data(&[0, 1]), "the start and the end are always looked at");
    }
    if disk.size <= WHOLE {
        let whole = content::read(&healthy, disk.size, Depth::Whole).ok();
        assert_eq!(
            whole == Some(Content::Blank),
            !healthy.data(&[0, 1, 2]),
            "blank is all zero and nothing else"
        );
        let same = whole.as_ref() == Some(&sampled);
        assert!(same || sampled == Content::Blank, "what is found in a part is there in the whole");
    }
    if bad.is_some() {
        let torn = content::read(&Disk { bad, ..healthy }, healthy.size, Depth::Sampled).ok();
        assert!(torn.is_none_or(|torn| torn == sampled), "what cannot be read is nothing else for that");
    }
}

/// What is told is there.
fn plausible(disk: &Disk<'_>, content: &Content) {
    match content {
        Content::Blank => {}
        Content::Luks2 => assert_eq!(disk.at(0, 8), b"LUKS\xba\xbe\0\x02"),
        Content::Begun(uuid) => assert_eq!(disk.at(0, 48), content::begun(*uuid)[..48]),
        Content::Foreign(foreign) => {
            assert!(foreign.at < disk.size && !foreign.what.is_empty(), "{foreign:?}");
            assert!(disk.data(&[0, 1, 2]), "{foreign:?} on an empty disk");
            let unknown = foreign.what == "data that nobody knows";
            assert!(!unknown || disk.at(foreign.at, 1) != [0], "{foreign:?}");
        }
        Content::Formatted(found) => {
            assert!(found.size_bytes > 0, "{found:?}");
            let (at, magic): (u64, &[u8]) = match found.fs {
                FsType::Xfs => (0, b"XFSB"),
                FsType::Ext4 | FsType::Ext3 => (1024 + 0x38, b"\x53\xef"),
                FsType::Vfat => (510, b"\x55\xaa"),
            };
            assert_eq!(disk.at(at, magic.len()), magic, "{found:?}");
        }
    }
}
