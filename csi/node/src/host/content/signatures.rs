//! Names for what is found. Only [`owner_at_start`] and [`owner_at_end`] decide anything: a file system's superblock under
//! the sign of an owner is a part of that owner's data, or a leftover. The other tables only help the person who reads why
//! a disk was refused; without them the answer is `data that nobody knows`.
//!
//! Sources: the kernel's headers, libblkid's probes, and the formats' own documentation.

use super::types::{BLOCK, Foreign};
use super::window::Window;
use super::{luks, mbr};

/// Byte, magic number, name.
type Sign = (u64, &'static [u8], &'static str);
/// The device's size is rounded down to a multiple of the first number; the sign stands the second number of bytes before
/// that.
type EndSign = (u64, u64, &'static [u8], &'static str);

const LUKS: &str = "a LUKS 1 header";
const LVM: &str = "an LVM physical volume";
const GPT: &str = "a GUID partition table (GPT)";
const GPT_COPY: &str = "a GUID partition table (its backup)";
const LUKS_COPY: &str = "a LUKS 2 header (the second one)";
const MD_1: &[u8] = b"\xfc\x4e\x2b\xa9\x01\0\0\0";
const ZFS: &str = "a ZFS label";

/// Whoever owns the whole device, at places where no file system of ours keeps a user's data.
const OWNERS_START: &[Sign] = &[
    (0, b"LUKS\xba\xbe", LUKS),
    (0, MD_1, "an md 1.1 RAID member"),
    (4096, MD_1, "an md 1.2 RAID member"),
    (0, b"LABELONE", LVM),
    (512, b"LABELONE", LVM),
    (1024, b"LABELONE", LVM),
    (1536, b"LABELONE", LVM),
    (0, b"bluestore block device\n", "a Ceph BlueStore device"),
    (4096 + 24, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", "a bcache device"),
    (
        4096 + 24,
        b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef",
        "a bcachefs file system",
    ),
    (0, b"dmvdo001", "a VDO device"),
    (0, b"verity\0\0", "a dm-verity hash device"),
    (0, b"integrt\0", "a dm-integrity device"),
    (516, b"!Stra0tis\x86\xff\x02^\x41rh", "a Stratis block device"),
    (4096 + 516, b"!Stra0tis\x86\xff\x02^\x41rh", "a Stratis block device"),
    (3, b"-FVE-FS-", "a BitLocker volume"),
    (424, b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01", "a BitLocker To Go volume"),
    (32, b"ORCLDISK", "an Oracle ASM disk"),
    (512, b"EFI PART", GPT),
    (4096, b"EFI PART", GPT),
    // The list of names and values in label 0, big- and little-endian hosts; it starts with its encoding and version.
    (0x4000, b"\x01\x01\0\0\0\0\0\0\0\0\0\x01", ZFS),
    (0x4000, b"\x01\0\0\0\0\0\0\0\0\0\0\x01", ZFS),
    (0x1_0040, b"_BHRfS_M", "a btrfs file system"),
];

/// Whoever owns the whole device and says so at its end.
const OWNERS_END: &[EndSign] = &[
    (1 << 16, 1 << 16, b"\xfc\x4e\x2b\xa9\0\0\0\0\x5a\0\0\0", "an md 0.90 RAID member"),
    (1 << 16, 1 << 16, b"\xa9\x2b\x4e\xfc\0\0\0\0\0\0\0\x5a", "an md 0.90 RAID member (big-endian)"),
    (4096, 8192, MD_1, "an md 1.0 RAID member"),
    (1, 512, b"\xde\x11\xde\x11", "a DDF RAID member"),
    (1, 1024, b"Intel Raid ISM Cfg Sig. ", "an Intel Matrix RAID member"),
    (4096, 4096 - 60, b"\x83\x74\x02\x67", "a DRBD device"),
    (4096, 4096 - 60, b"\x83\x74\x02\x6b", "a DRBD device"),
    (4096, 4096 - 60, b"\x83\x74\x02\x6c", "a DRBD device"),
    (4096, 4096 - 60, b"\x83\x74\x02\x6d", "a DRBD device"),
];

/// The rest, the telling ones first.
const OTHERS_START: &[Sign] = &[
    (4086, b"SWAPSPACE2", "a swap area"),
    (4086, b"SWAP-SPACE", "a swap area"),
    (8182, b"SWAPSPACE2", "a swap area (8 KiB pages)"),
    (16_374, b"SWAPSPACE2", "a swap area (16 KiB pages)"),
    (65_526, b"SWAPSPACE2", "a swap area (64 KiB pages)"),
    (3, b"NTFS    ", "an NTFS file system"),
    (3, b"EXFAT   ", "an exFAT file system"),
    (12 * 512 + 3, b"EXFAT   ", "an exFAT file system (its backup boot sector)"),
    (3, b"ReFS\0\0\0\0", "a ReFS file system"),
    (0, b"\xfc\x4e\x2b\xa9", "a RAID member of an unknown md version"),
    (32_769, b"CD001", "an ISO 9660 image"),
    (32_769, b"BEA01", "a UDF file system"),
    (32_769, b"NSR0", "a UDF file system"),
    (0, b"hsqs", "a squashfs image"),
    (0, b"\x45\x3d\xcd\x28", "a cramfs image"),
    (1024, b"\xe2\xe1\xf5\xe0", "an EROFS image"),
    (1024, b"\x10\x20\xf5\xf2", "an F2FS file system"),
    (5120, b"\x10\x20\xf5\xf2", "an F2FS file system (its second superblock)"),
    (32_768, b"JFS1", "a JFS file system"),
    (61_440, b"JFS1", "a JFS file system (its second superblock)"),
    (65_536 + 52, b"ReIsEr", "a ReiserFS file system"),
    (8192 + 52, b"ReIsEr", "a ReiserFS file system"),
    (65_536, b"ReIsEr4", "a Reiser4 file system"),
    (65_536, b"\x01\x16\x19\x70", "a GFS2 file system"),
    (8192, b"OCFSV2", "an OCFS2 file system"),
    (32, b"NXSB", "an APFS container"),
    (8192 + 1372, b"\x19\x01\x54\x19", "a UFS2 file system"),
    (65_536 + 1372, b"\x19\x01\x54\x19", "a UFS2 file system"),
    (8192 + 1372, b"\x54\x19\x01\0", "a UFS file system"),
    (0, b"QFI\xfb", "a QCOW image"),
    (0, b"KDMV", "a VMDK image"),
    (0, b"vhdxfile", "a VHDX image"),
    (257, b"ustar", "a tar archive"),
    (512, b"\x57\x45\x56\x82", "a BSD disk label"),
    // Two or four bytes, so last.
    (1024, b"H+\0\x04", "an HFS+ file system"),
    (1024, b"HX\0\x05", "an HFS+ file system"),
    (1024, b"BD", "an HFS file system"),
    (508, b"\xda\xbe", "a Sun disk label"),
    (512, b"PM", "an Apple partition map"),
    (1024 + 6, b"\x34\x34", "a NILFS2 file system"),
    (1024 + 16, b"\x7f\x13", "a minix file system"),
    (1024 + 16, b"\x8f\x13", "a minix file system"),
    (1024 + 16, b"\x68\x24", "a minix file system"),
    (1024 + 16, b"\x78\x24", "a minix file system"),
    (1024 + 24, b"\x5a\x4d", "a minix file system"),
];

/// What else is kept at the end.
const OTHERS_END: &[EndSign] = &[
    (1, 512, b"EFI PART", GPT_COPY),
    (1, 4096, b"EFI PART", GPT_COPY),
    (1, 512 - 3, b"NTFS    ", "an NTFS file system (its backup boot sector)"),
    (1, 1024, b"H+\0\x04", "an HFS+ file system (its backup)"),
    (4096, 4096 - 6, b"\x34\x34", "a NILFS2 file system (its second superblock)"),
];

/// Signs within a block of 4 KiB at any place: copies, and owners that do not start at the beginning.
const ANYWHERE: &[Sign] = &[
    (0, b"XFSB", "an XFS superblock (a copy)"),
    (0, b"SKUL\xba\xbe", LUKS_COPY),
    (0, luks::MAGIC, "a copy of a LUKS 2 header"),
    (64, b"_BHRfS_M", "a btrfs superblock (a copy)"),
    (0, b"bluestore block device\n", "a Ceph BlueStore label (a copy)"),
    (0, b"\x0d\xd0\x01\xc0", "a VMFS volume"),
    (0, b"OCFSV2", "an OCFS2 superblock (a copy)"),
    (0, b"EFI PART", GPT_COPY),
    (4096 - 512, b"EFI PART", GPT_COPY),
    (0, b"\x0c\xb1\xba\0\0\0\0\0", ZFS),
    (0, b"\0\0\0\0\0\xba\xb1\x0c", ZFS),
    // The superblock stands 1 KiB into the block in groups of 1 KiB blocks.
    (56, b"\x53\xef", "an ext superblock (a copy)"),
    (1024 + 56, b"\x53\xef", "an ext superblock (a copy)"),
];

/// The owner of the whole device, by the signs at its start.
pub(super) fn owner_at_start(head: &Window<'_>, size: u64) -> Option<Foreign> {
    let table = || mbr::partitioned(head, size).then(|| Foreign::new("a partition table (MBR)", 446));
    find(head, OWNERS_START, 0).or_else(table)
}

/// The owner of the whole device, by a sign at its end that lies behind the first `inside` bytes: what a file system spans
/// is that file system's data.
pub(super) fn owner_at_end(tail: &Window<'_>, size: u64, inside: u64) -> Option<Foreign> {
    find_back(tail, OWNERS_END, size, inside)
}

/// Any other sign at the start.
pub(super) fn at_start(head: &Window<'_>) -> Option<Foreign> {
    let boot = || mbr::boot_sector(head).then(|| Foreign::new("a boot sector", 510));
    let copies = || {
        [0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000].into_iter().find_map(|at| block(head, at))
    };
    find(head, OTHERS_START, 0).or_else(copies).or_else(|| uberblock(head, 0)).or_else(boot)
}

/// Any sign at the end.
pub(super) fn at_end(tail: &Window<'_>, size: u64) -> Option<Foreign> {
    let labels = size / ZFS_LABEL * ZFS_LABEL;
    let zfs = || [2, 1].into_iter().find_map(|n| uberblock(tail, labels.checked_sub(n * ZFS_LABEL)?));
    owner_at_end(tail, size, 0).or_else(|| find_back(tail, OTHERS_END, size, 0)).or_else(zfs)
}

/// A sign within one block.
pub(super) fn anywhere(window: &Window<'_>) -> Option<Foreign> {
    find(window, ANYWHERE, window.at())
}

fn block(window: &Window<'_>, at: u64) -> Option<Foreign> {
    let bytes = window.get(at, usize::try_from(BLOCK).ok()?)?;
    anywhere(&Window::new(at, bytes))
}

fn find(window: &Window<'_>, signs: &[Sign], base: u64) -> Option<Foreign> {
    let (at, _, what) = signs.iter().find(|(at, magic, _)| window.has(base + at, magic))?;
    Some(Foreign::new(what, base + at))
}

fn find_back(window: &Window<'_>, signs: &[EndSign], size: u64, inside: u64) -> Option<Foreign> {
    signs.iter().find_map(|(align, back, magic, what)| {
        let at = (size / align * align).checked_sub(*back)?;
        (at >= inside && window.has(at, magic)).then(|| Foreign::new(what, at))
    })
}

/// Bytes of one of ZFS' four labels; the second half is a ring of uberblocks of at least 1 KiB.
const ZFS_LABEL: u64 = 256 << 10;

fn uberblock(window: &Window<'_>, label: u64) -> Option<Foreign> {
    let ring = (label + ZFS_LABEL / 2..label + ZFS_LABEL).step_by(1024);
    let magics: [&[u8]; 2] = [b"\x0c\xb1\xba\0\0\0\0\0", b"\0\0\0\0\0\xba\xb1\x0c"];
    ring.into_iter().find(|at| magics.iter().any(|m| window.has(*at, m))).map(|at| Foreign::new(ZFS, at))
}
