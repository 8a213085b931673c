//! Device contents that are written byte by byte from the published formats: magic numbers at their places, nothing else.
//! A disk that shows only this much is the hardest to recognise, and every one of them must be left alone.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::content::{Content, GroundTruth};

/// Bytes at a place; a negative place counts from the end of the device.
pub(crate) type Patch = (i64, &'static [u8]);

/// Writes the patches into the image.
pub(crate) fn write(image: &Path, patches: &[Patch]) {
    let file = OpenOptions::new().write(true).open(image).unwrap();
    let size = file.metadata().unwrap().len();
    for (place, bytes) in patches {
        let at = if *place < 0 { size - place.unsigned_abs() } else { place.unsigned_abs() };
        assert!(at + bytes.len() as u64 <= size, "{place} is outside of the image");
        file.write_all_at(bytes, at).unwrap();
    }
}

/// A row for each.
pub(crate) fn contents() -> impl Iterator<Item = Content> {
    SIGNATURES.iter().map(|(name, patches)| Content {
        name: (*name).to_owned(),
        mib: 64,
        ask: "ext4",
        truth: GroundTruth::Data,
        make: Box::new(move |image| write(image, patches)),
    })
}

/// Name and patches of every signature. Each is some other program's data, so none of them is ever formatted.
pub(crate) const SIGNATURES: &[(&str, &[Patch])] = &[
    // Members of volume managers and arrays.
    ("swap, 4 KiB pages", &[(4086, b"SWAPSPACE2")]),
    ("swap, 64 KiB pages", &[(65_526, b"SWAPSPACE2")]),
    ("LUKS 1 header", &[(0, b"LUKS\xba\xbe\x00\x01aes")]),
    ("LUKS 2 header", &[(0, b"LUKS\xba\xbe\x00\x02"), (0x4000, b"SKUL\xba\xbe\x00\x02")]),
    ("LUKS 2, only the second header", &[(0x4000, b"SKUL\xba\xbe\x00\x02")]),
    ("LUKS 2, only the second header at 4 MiB", &[(0x40_0000, b"SKUL\xba\xbe\x00\x02")]),
    ("LVM label in sector 1", &[(512, b"LABELONE\x01\0\0\0\0\0\0\0"), (536, b"LVM2 001")]),
    ("LVM label in sector 3", &[(1536, b"LABELONE\x03\0\0\0\0\0\0\0"), (1560, b"LVM2 001")]),
    ("md 0.90", &[(-65_536, b"\xfc\x4e\x2b\xa9\0\0\0\0\x5a\0\0\0")]),
    ("md 1.0", &[(-8192, b"\xfc\x4e\x2b\xa9\x01\0\0\0")]),
    ("md 1.1", &[(0, b"\xfc\x4e\x2b\xa9\x01\0\0\0")]),
    ("md 1.2", &[(4096, b"\xfc\x4e\x2b\xa9\x01\0\0\0")]),
    ("DDF RAID", &[(-512, b"\xde\x11\xde\x11")]),
    ("Intel RAID", &[(-1024, b"Intel Raid ISM Cfg Sig. 1.2.02")]),
    ("DRBD", &[(-4096 + 60, b"\x83\x74\x02\x6b")]),
    ("bcache", &[(4096 + 24, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81")]),
    ("Ceph BlueStore", &[(0, b"bluestore block device\n")]),
    ("VDO", &[(0, b"dmvdo001")]),
    ("Stratis", &[(516, b"!Stra0tis\x86\xff\x02^\x41rh")]),
    ("BitLocker", &[(0, b"\xeb\x58\x90-FVE-FS-")]),
    ("VMFS", &[(0x10_0000, b"\x0d\xd0\x01\xc0")]),
    ("Oracle ASM", &[(32, b"ORCLDISK")]),
    // ZFS keeps four labels, two at each end; the uberblock's magic is on every one.
    ("ZFS, label 0", &[(131_072, b"\x0c\xb1\xba\0\0\0\0\0")]),
    ("ZFS, only the last label", &[(-262_144 + 131_072, b"\x0c\xb1\xba\0\0\0\0\0")]),
    // Partition tables.
    ("MBR", &[(446, b"\x80\x20\x21\0\x83\xfe\xff\xff\0\x08\0\0\0\xf8\x01\0"), (510, b"\x55\xaa")]),
    ("MBR, empty table", &[(510, b"\x55\xaa")]),
    (
        "GPT",
        &[
            (446, b"\0\0\x02\0\xee\xff\xff\xff\x01"),
            (510, b"\x55\xaa"),
            (512, b"EFI PART"),
            (-512, b"EFI PART"),
        ],
    ),
    ("GPT, primary zeroed", &[(-512, b"EFI PART\0\0\x01\0\x5c")]),
    ("GPT, 4 KiB sectors, primary zeroed", &[(-4096, b"EFI PART\0\0\x01\0\x5c")]),
    ("Sun label", &[(508, b"\xda\xbe")]),
    ("Apple partition map", &[(0, b"ER"), (512, b"PM")]),
    ("BSD disklabel", &[(512, b"\x57\x45\x56\x82"), (644, b"\x57\x45\x56\x82")]),
    // File systems that the driver does not make.
    ("ISO 9660", &[(32_769, b"CD001")]),
    ("UDF", &[(32_769, b"BEA01"), (34_817, b"NSR02")]),
    ("squashfs", &[(0, b"hsqs")]),
    ("cramfs", &[(0, b"\x45\x3d\xcd\x28")]),
    ("erofs", &[(1024, b"\xe2\xe1\xf5\xe0")]),
    ("f2fs", &[(1024, b"\x10\x20\xf5\xf2"), (5120, b"\x10\x20\xf5\xf2")]),
    ("f2fs, only the second superblock", &[(5120, b"\x10\x20\xf5\xf2")]),
    ("NTFS", &[(0, b"\xeb\x52\x90NTFS    "), (510, b"\x55\xaa")]),
    ("NTFS, only the boot sector's copy", &[(-512, b"\xeb\x52\x90NTFS    "), (-2, b"\x55\xaa")]),
    ("exFAT", &[(0, b"\xeb\x76\x90EXFAT   "), (510, b"\x55\xaa")]),
    ("exFAT, only the boot sector's copy", &[(12 * 512, b"\xeb\x76\x90EXFAT   ")]),
    ("JFS", &[(32_768, b"JFS1")]),
    ("JFS, only the second superblock", &[(61_440, b"JFS1")]),
    ("ReiserFS", &[(65_536 + 52, b"ReIsEr2Fs")]),
    ("Reiser4", &[(65_536, b"ReIsEr4")]),
    ("NILFS2", &[(1024 + 6, b"\x34\x34")]),
    ("NILFS2, only the second superblock", &[(-4096 + 6, b"\x34\x34")]),
    ("HFS+", &[(1024, b"H+\0\x04")]),
    ("APFS", &[(32, b"NXSB")]),
    ("UFS2", &[(65_536 + 1372, b"\x19\x01\x54\x19")]),
    ("OCFS2", &[(8192, b"OCFSV2")]),
    ("GFS2", &[(65_536, b"\x01\x16\x19\x70")]),
    ("bcachefs", &[(4096 + 24, b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef")]),
    ("minix", &[(1024 + 16, b"\x8f\x13")]),
    ("btrfs, only the magic", &[(65_536 + 64, b"_BHRfS_M")]),
    // ext superblock copies: magic 0xEF53 at byte 56 of the copy, and its block group number at byte 90.
    (
        "ext, 1 KiB blocks, one copy left",
        &[(8193 * 1024 + 56, b"\x53\xef\x01\0"), (8193 * 1024 + 90, b"\x01")],
    ),
    (
        "ext, 2 KiB blocks, one copy left",
        &[(16_384 * 2048 + 56, b"\x53\xef\x01\0"), (16_384 * 2048 + 90, b"\x01")],
    ),
    // Plain data at places that matter.
    ("data in the first sector", &[(0, b"customer data")]),
    ("text from the start", &[(0, include_bytes!("craft.rs"))]),
    ("data in the last MiB", &[(-1_000_000, b"customer data, a whole line of it")]),
    ("data in the last sector", &[(-300, b"customer data")]),
    ("data only in the middle", &[(30 << 20, &[b'x'; 3 << 20])]),
    ("last byte", &[(-1, b"x")]),
    ("one odd byte near the start", &[(12_345, b"x")]),
    ("0xff in the first 4 KiB", &[(0, &[0xff; 4096])]),
];
