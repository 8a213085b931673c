use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use proptest::prelude::*;

use super::*;

mod made;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// A disk of zeros with some bytes on it and perhaps a bad place; as strict as O_DIRECT.
struct Disk {
    size: u64,
    bytes: BTreeMap<u64, u8>,
    bad: Range<u64>,
    reads: AtomicU64,
}

impl Disk {
    fn new(size: u64) -> Self {
        Self { size, bytes: BTreeMap::new(), bad: 0..0, reads: AtomicU64::new(0) }
    }

    fn with(mut self, at: u64, bytes: &[u8]) -> Self {
        assert!(at + bytes.len() as u64 <= self.size);
        self.bytes.extend((at..).zip(bytes.iter().copied()));
        self
    }

    fn read(&self, depth: Depth) -> Result<Content, ReadError> {
        read(self, self.size, depth)
    }

    fn what(&self) -> String {
        match self.read(Depth::Sampled).unwrap() {
            Content::Foreign(foreign) => format!("{} at {}", foreign.what, foreign.at),
            other => format!("{other:?}"),
        }
    }
}

impl ReadAt for Disk {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let end = at + buffer.len() as u64;
        assert!(at.is_multiple_of(BLOCK) && !buffer.is_empty() && buffer.len() as u64 <= CHUNK, "{at} {end}");
        assert!(
            end.is_multiple_of(BLOCK) && end <= self.size || end == self.size,
            "{at} {end} of {}",
            self.size
        );
        self.reads.fetch_add(1, Relaxed);
        if self.bad.start < end && at < self.bad.end {
            return Err(io::Error::from_raw_os_error(5));
        }
        buffer.fill(0);
        for (place, byte) in self.bytes.range(at..end) {
            buffer[usize::try_from(place - at).unwrap()] = *byte;
        }
        Ok(())
    }
}

#[test]
fn no_bytes_are_not_zero_bytes() {
    assert!(Disk::new(0).read(Depth::Sampled).is_err());
    assert_eq!(Disk::new(512).read(Depth::Sampled).unwrap(), Content::Blank);
    assert_eq!(Disk::new(512).read(Depth::Whole).unwrap(), Content::Blank);
}

#[test]
fn a_blank_disk_is_cheap_to_read() {
    for (size, most) in [(20 * GIB, 300), (100 * GIB, 700), (TIB, 4_500), (32 * TIB, 4_500)] {
        let disk = Disk::new(size);
        assert_eq!(disk.read(Depth::Sampled).unwrap(), Content::Blank);
        assert!(disk.reads.load(Relaxed) < most, "{} reads for {} GiB", disk.reads.load(Relaxed), size / GIB);
    }
}

#[test]
fn the_places_are_in_order_and_apart_and_within_the_device() {
    for size in [512, 4096, 4608, MIB, MIB + 512, 64 * MIB, 20 * GIB, 33 * GIB + 512, 5 * TIB, 32 * TIB] {
        let places = sample_ranges::sampled(size);
        assert!(places.iter().all(|p| p.start < p.end && p.end <= size), "{size}");
        assert!(places.windows(2).all(|two| two[0].end < two[1].start), "{size}");
        assert_eq!((places[0].start, places.last().unwrap().end), (0, size));
    }
}

#[test]
fn old_ends_and_copies_of_a_grown_disk_are_read() {
    let grown = |at: u64, sign: &[u8]| Disk::new(200 * GIB).with(at, sign).what();
    let gpt = 20 * GIB - 512;
    assert_eq!(grown(gpt, b"EFI PART"), format!("a GUID partition table (its backup) at {gpt}"));
    assert!(grown(20 * GIB - 65_536, b"\xfc\x4e\x2b\xa9").starts_with("data that nobody knows"));
    assert!(grown(20 * GIB - 8192, b"\xfc\x4e\x2b\xa9").starts_with("data that nobody knows"));
    // 20 GiB made by mkfs.xfs, then grown tenfold: the second group is at 5 GiB.
    assert!(grown(5 * GIB, b"XFSB").starts_with("an XFS superblock (a copy)"));
    assert!(grown(10 * GIB, b"bluestore block device\n").starts_with("a Ceph BlueStore label (a copy)"));
}

#[test]
fn a_leftover_of_the_kernel_s_favourite_owner_wins_over_the_file_system_behind_it() {
    let ext4 = made::superblock_of("mke2fs", &["-q", "-F", "-t", "ext4"], 1024);
    let plain = || Disk::new(64 * MIB).with(1024, &ext4);
    assert!(matches!(plain().read(Depth::Whole).unwrap(), Content::Formatted(_)));
    // grub leaves code and a magic number in the first sector, but no partition.
    assert!(matches!(plain().with(510, b"\x55\xaa").read(Depth::Whole).unwrap(), Content::Formatted(_)));
    let partition = b"\x80\x20\x21\0\x83\xfe\xff\xff\0\x08\0\0\0\xf8\x01\0";
    assert_eq!(plain().with(510, b"\x55\xaa").with(446, partition).what(), "a partition table (MBR) at 446");
    assert_eq!(plain().with(0, b"LUKS\xba\xbe\0\x02").read(Depth::Whole).unwrap(), Content::Luks2);
    assert_eq!(plain().with(0, b"LUKS\xba\xbe\0\x01").what(), "a LUKS 1 header at 0");
    assert_eq!(plain().with(65_600, b"_BHRfS_M").what(), "a btrfs file system at 65600");
    assert_eq!(plain().with(0x4000, b"\x01\x01\0\0\0\0\0\0\0\0\0\x01").what(), "a ZFS label at 16384");
}

#[test]
fn a_raid_member_shows_its_file_system_but_is_a_raid_member() {
    let ext4 = made::superblock_of("mke2fs", &["-q", "-F", "-t", "ext4"], 1024);
    let md = b"\xfc\x4e\x2b\xa9\x01\0\0\0";
    // The file system of 64 MiB on a disk with 1 MiB more, as md 1.0 leaves it at the end.
    let member = Disk::new(65 * MIB).with(1024, &ext4).with(65 * MIB - 8192, md);
    assert_eq!(member.what(), format!("an md 1.0 RAID member at {}", 65 * MIB - 8192));
    // Within what the file system spans the same bytes are a user's file.
    let file = Disk::new(64 * MIB).with(1024, &ext4).with(64 * MIB - 8192, md);
    assert!(matches!(file.read(Depth::Whole).unwrap(), Content::Formatted(_)));
}

#[test]
fn a_superblock_without_sense_is_somebody_s() {
    assert_eq!(Disk::new(64 * MIB).with(1080, b"\x53\xef").what(), "a damaged ext superblock at 1024");
    assert_eq!(Disk::new(64 * MIB).with(0, b"XFSB").what(), "a damaged XFS superblock at 0");
    assert_eq!(Disk::new(64 * MIB).with(510, b"\x55\xaa").what(), "a boot sector at 510");
}

#[test]
fn two_file_systems_at_once_are_nobody_s() {
    let ext4 = made::superblock_of("mke2fs", &["-q", "-F", "-t", "ext4"], 1024);
    let fat = made::superblock_of("mkfs.vfat", &[], 0);
    let both = Disk::new(64 * MIB).with(0, &fat[..512]).with(1024, &ext4);
    assert_eq!(both.what(), "the superblocks of two file systems at once at 0");
}

proptest! {
    #[test]
    fn read_whole_no_byte_is_missed(sectors in 1_u64..16_384, place in any::<prop::sample::Index>(), byte in 1_u8..) {
        let size = sectors * 512;
        let at = place.index(usize::try_from(size).unwrap()) as u64;
        let content = Disk::new(size).with(at, &[byte]).read(Depth::Whole).unwrap();
        let Content::Foreign(foreign) = content else { panic!("{content:?}") };
        // A sign of one byte does not exist, so the position is exact.
        prop_assert_eq!(foreign, Foreign::new("data that nobody knows", at));
    }

    #[test]
    fn sampled_no_byte_of_the_places_is_missed(
        sectors in 1_u64..(64 * GIB / 512), place in any::<prop::sample::Index>(), offset in any::<u64>(), byte in 1_u8..
    ) {
        let size = sectors * 512;
        let place = place.get(&sample_ranges::sampled(size)).clone();
        let at = place.start + offset % (place.end - place.start);
        prop_assert!(matches!(Disk::new(size).with(at, &[byte]).read(Depth::Sampled).unwrap(), Content::Foreign(_)));
    }

    #[test]
    fn one_failed_read_is_an_error(
        sectors in 1_u64..(64 * GIB / 512), place in any::<prop::sample::Index>(), offset in any::<u64>()
    ) {
        let mut disk = Disk::new(sectors * 512);
        let place = place.get(&sample_ranges::sampled(disk.size)).clone();
        let at = place.start + offset % (place.end - place.start);
        disk.bad = at / 512 * 512..at / 512 * 512 + 512;
        let error = disk.read(Depth::Sampled).unwrap_err();
        prop_assert!(error.at <= at && error.source.raw_os_error() == Some(5));
    }

    /// A superblock with some bytes of it damaged may be anything but blank, and no number in it makes the probe panic.
    #[test]
    fn damage_is_never_blank(which in 0_usize..4, damage in prop::collection::vec((0_usize..512, any::<u8>()), 1..8)) {
        let (at, mut bytes) = made::whole(which);
        for (place, byte) in damage {
            bytes[place] = byte;
        }
        for size in [64 * MIB, 20 * GIB] {
            let content = Disk::new(size).with(at, &bytes).read(Depth::Sampled).unwrap();
            prop_assert!(content != Content::Blank);
        }
    }
}
