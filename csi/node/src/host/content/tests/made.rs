//! What the real programs make. Without them (hack/install brings them) these tests fail: that is on purpose.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use eck_csi::volume::FsType;
use tempfile::TempDir;

use super::*;

impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, at)
    }
}

/// A sparse image that a program has been run on.
struct Image {
    path: PathBuf,
    _dir: TempDir,
}

impl Image {
    fn blank(size: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        File::create(&path).unwrap().set_len(size).unwrap();
        Self { path, _dir: dir }
    }

    fn made(size: u64, program: &str, args: &[&str]) -> Self {
        let image = Self::blank(size);
        run(program, args, &image.path);
        image
    }

    fn read(&self, depth: Depth) -> Content {
        let file = File::open(&self.path).unwrap();
        let size = file.metadata().unwrap().len();
        super::read(&file, size, depth).unwrap()
    }

    fn formatted(&self) -> Formatted {
        let contents = [Depth::Sampled, Depth::Whole].map(|depth| self.read(depth));
        match &contents {
            [Content::Formatted(a), Content::Formatted(b)] if a == b => *a,
            other => panic!("{other:?}"),
        }
    }

    fn foreign(&self) -> String {
        match self.read(Depth::Sampled) {
            Content::Foreign(foreign) => foreign.what,
            other => panic!("{other:?}"),
        }
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        File::options().write(true).open(&self.path).unwrap().write_all_at(bytes, at).unwrap();
    }

    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        FileExt::read_exact_at(&File::open(&self.path).unwrap(), &mut bytes, at).unwrap();
        bytes
    }
}

fn run(program: &str, args: &[&str], image: &Path) -> String {
    // mkfs.xfs makes less than 300 MiB only for its own tests, which it knows by these.
    let small = [("TEST_DIR", "1"), ("TEST_DEV", "1"), ("QA_CHECK_FS", "1")];
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let out = Command::new(program).args(args).arg(image).envs(small).env("PATH", path).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} {args:?}: {text}");
    text
}

/// The KiB at `at` of what the program makes of 64 MiB.
pub(super) fn superblock_of(program: &str, args: &[&str], at: u64) -> Vec<u8> {
    Image::made(64 * MIB, program, args).bytes(at, 1024)
}

/// Place and bytes of a valid superblock of each kind.
pub(super) fn whole(which: usize) -> (u64, Vec<u8>) {
    static MADE: OnceLock<[(u64, Vec<u8>); 4]> = OnceLock::new();
    let made = || {
        [
            (1024, superblock_of("mke2fs", &["-q", "-F", "-t", "ext4"], 1024)),
            (0, superblock_of("mkfs.xfs", &["-q"], 0)),
            (0, superblock_of("mkfs.vfat", &["-F", "32"], 0)),
            (0, superblock_of("mkfs.vfat", &["-F", "16"], 0)),
        ]
    };
    MADE.get_or_init(made)[which].clone()
}

const UUID: &str = "0a1b2c3d-4e5f-8071-8293-a4b5c6d7e8f9";

#[test]
fn ext_is_recognised_with_its_uuid_and_size() {
    for (kind, fs) in [("ext3", FsType::Ext3), ("ext4", FsType::Ext4)] {
        for block in ["1024", "2048", "4096", "65536"] {
            let args = ["-q", "-F", "-t", kind, "-b", block, "-U", UUID];
            let found = Image::made(192 * MIB, "mke2fs", &args).formatted();
            let id = FsId::Uuid(UUID.parse().unwrap());
            assert_eq!(found, Formatted { fs, id, size_bytes: 192 * MIB, clean: true }, "{kind} {block}");
        }
    }
    for features in [
        "^has_journal",
        "bigalloc",
        "quota",
        "^metadata_csum",
        "sparse_super2",
        "^64bit",
        "meta_bg,^resize_inode",
    ] {
        let found = Image::made(96 * MIB, "mke2fs", &["-q", "-F", "-t", "ext4", "-O", features]).formatted();
        assert_eq!((found.fs, found.size_bytes, found.clean), (FsType::Ext4, 96 * MIB, true), "{features}");
    }
}

#[test]
fn ext_that_the_driver_does_not_mount_is_foreign() {
    let made = |args: &[&str]| Image::made(64 * MIB, "mke2fs", &[&["-q", "-F"], args].concat()).foreign();
    assert_eq!(made(&["-t", "ext2"]), "an ext2 file system");
    assert_eq!(made(&["-t", "ext2", "-r", "0"]), "an ext2 file system");
    assert_eq!(made(&["-O", "journal_dev", "-b", "4096"]), "an external journal of an ext file system");
}

#[test]
fn ext_asks_for_a_check_when_its_flags_or_its_checksum_say_so() {
    let image = Image::made(64 * MIB, "mke2fs", &["-q", "-F", "-t", "ext4", "-O", "^metadata_csum"]);
    for (state, clean) in [(1, true), (0, false), (3, false), (2, false), (5, true)] {
        image.write(1024 + 0x3a, &[state]);
        assert_eq!(image.formatted().clean, clean, "{state}");
    }
    let image = Image::made(64 * MIB, "mke2fs", &["-q", "-F", "-t", "ext4"]);
    image.write(1024 + 0x78, b"torn");
    assert!(!image.formatted().clean);
}

#[test]
fn xfs_is_recognised_with_its_uuid_and_size() {
    let uuid = format!("uuid={UUID}");
    for args in [&["-m", "crc=1"][..], &["-m", "crc=0"], &["-b", "size=1024"], &["-s", "size=4096"]] {
        let image = Image::made(64 * MIB, "mkfs.xfs", &[&["-q", "-m", &uuid], args].concat());
        let id = FsId::Uuid(UUID.parse().unwrap());
        assert_eq!(
            image.formatted(),
            Formatted { fs: FsType::Xfs, id, size_bytes: 64 * MIB, clean: true },
            "{args:?}"
        );
    }
    let image = Image::made(64 * MIB, "mkfs.xfs", &["-q"]);
    image.write(108, b"torn");
    assert!(!image.formatted().clean);
    image.write(126, b"\x01");
    assert_eq!(image.foreign(), "an XFS file system whose making was interrupted");
}

#[test]
fn xfs_with_a_log_elsewhere_is_foreign() {
    let log = Image::blank(64 * MIB);
    let logdev = format!("logdev={},size=32m", log.path.to_str().unwrap());
    let image = Image::made(64 * MIB, "mkfs.xfs", &["-q", "-l", &logdev]);
    assert_eq!(image.foreign(), "an XFS file system with its log or its data on another device");
}

#[test]
fn fat_is_recognised_with_its_serial_and_size() {
    for (bits, mib) in [("12", 16), ("16", 64), ("32", 64)] {
        for mbr in ["n", "y"] {
            let mbr = format!("--mbr={mbr}");
            let args = ["-F", bits, "-i", "89abcdef", &mbr];
            let image = Image::made(mib * MIB, "mkfs.vfat", &args);
            let found = Formatted {
                fs: FsType::Vfat,
                id: FsId::Fat(0x89ab_cdef),
                size_bytes: mib * MIB,
                clean: true,
            };
            assert_eq!(image.formatted(), found, "{bits} {mbr}");
            image.write(if bits == "32" { 65 } else { 37 }, &[1]);
            assert_eq!(image.formatted(), Formatted { clean: false, ..found }, "{bits} {mbr}");
        }
    }
}

/// Each copy that mke2fs would write, alone on an otherwise blank disk, is found; `-n` tells the places without writing.
#[test]
fn every_ext_superblock_copy_is_read() {
    let sizes = [20 * GIB, 37 * GIB, 1000 * GIB, 3 * TIB];
    let blocks = [(10, "1024"), (11, "2048"), (12, "4096"), (16, "65536")];
    for (size, (log, block)) in sizes.into_iter().flat_map(|s| blocks.map(|b| (s, b))) {
        for features in ["none", "bigalloc", "sparse_super2"] {
            if features == "bigalloc" && log == 16 || features != "none" && size > 1000 * GIB {
                continue;
            }
            let image = Image::blank(size);
            let args = [
                "-n",
                "-F",
                "-t",
                "ext4",
                "-b",
                block,
                "-O",
                if features == "none" { "extent" } else { features },
            ];
            let text = run("mke2fs", &args, &image.path);
            let list = text.split_once("stored on blocks:").map_or("", |(_, list)| list);
            let copies: Vec<u64> = list.split([',', '\n']).filter_map(|n| n.trim().parse().ok()).collect();
            assert!(!copies.is_empty() || size < 20 * GIB, "{text}");
            let places = sample_ranges::sampled(size);
            for at in copies.into_iter().map(|n| n << log) {
                let read = places.iter().any(|p| p.start <= at && at + 1024 <= p.end);
                assert!(read, "{} GiB, {block}, {features}: {at}", size / GIB);
            }
        }
    }
}

#[test]
fn every_xfs_superblock_copy_is_read() {
    for size in [64 * MIB, 300 * MIB, 20 * GIB, 37 * GIB, 1000 * GIB, 3 * TIB, 5 * TIB, 15 * TIB] {
        let image = Image::blank(size);
        let text = run("mkfs.xfs", &["-N"], &image.path);
        let number = |key: &str| -> u64 {
            let rest = text.split_once(key).unwrap().1;
            rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
        };
        let places = sample_ranges::sampled(size);
        for group in 1..number("agcount=") {
            let at = group * number("agsize=") * 4096;
            assert!(
                places.iter().any(|p| p.start <= at && at + 4096 <= p.end),
                "{size}: group {group} at {at}"
            );
        }
    }
}

/// As after `dd if=/dev/zero` over the start by mistake.
#[test]
fn a_file_system_without_its_start_is_foreign() {
    let cases: [(&str, &[&str], u64, &str); 4] = [
        ("mke2fs", &["-q", "-F", "-t", "ext4", "-b", "1024"], 9 * MIB / 2, "an ext superblock (a copy)"),
        ("mke2fs", &["-q", "-F", "-t", "ext4", "-b", "4096"], 9 * MIB / 2, "an ext superblock (a copy)"),
        ("mkfs.xfs", &["-q"], 9 * MIB / 2, "an XFS superblock (a copy)"),
        ("mkfs.vfat", &["-F", "32"], 512, "data that nobody knows"),
    ];
    for (program, args, start, what) in cases {
        let image = Image::made(512 * MIB, program, args);
        image.write(0, &vec![0; usize::try_from(start).unwrap()]);
        assert_eq!(image.foreign(), what, "{program} {args:?}");
    }
}
