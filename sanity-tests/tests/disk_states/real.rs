//! Device contents that real programs make: file systems, encrypted disks, LVM, and the ruins of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::content::{Content, GroundTruth};
use super::craft;
use super::lab::{self, Loop, have, path, run, zero};

/// UUIDs with which the contents are made.
pub(crate) struct Ids {
    /// What the driver itself would give to this volume.
    pub(crate) ours: String,
    /// What the driver gives to another volume.
    pub(crate) others: String,
}

type Maker = fn(&Path, &Ids);

/// Name, MiB, asked type, truth, maker.
const MADE: &[(&str, u64, &str, GroundTruth, Maker)] = &[
    ("blank", 64, "ext4", GroundTruth::Blank, |_, _| ()),
    ("blank, ext3 asked", 64, "ext3", GroundTruth::Blank, |_, _| ()),
    ("blank, xfs asked", 320, "xfs", GroundTruth::Blank, |_, _| ()),
    // Where the kernel has no vfat it is not formatted with it either.
    ("blank, vfat asked", 64, "vfat", GroundTruth::Blank, |_, _| ()),
    ("zeros that are written, not holes", 16, "ext4", GroundTruth::Blank, |i, _| zero(i, 0..16 << 20)),
    ("one sector of data in the middle", 64, "ext4", GroundTruth::Hidden, |i, _| hidden(i)),
    ("ext4, ours", 64, "ext4", GroundTruth::Ours, |i, ids| ext(i, &["-t", "ext4", "-U", &ids.ours])),
    ("ext3, ours", 64, "ext3", GroundTruth::Ours, |i, ids| ext(i, &["-t", "ext3", "-U", &ids.ours])),
    ("ext4, adopted", 64, "ext4", GroundTruth::Ours, |i, _| ext(i, &["-t", "ext4"])),
    ("ext4, adopted, 1 KiB blocks", 64, "ext4", GroundTruth::Ours, |i, _| {
        ext(i, &["-t", "ext4", "-b", "1024"])
    }),
    ("ext4, adopted, no journal", 64, "ext4", GroundTruth::Ours, |i, _| {
        ext(i, &["-t", "ext4", "-O", "^has_journal"])
    }),
    ("ext4, adopted, bigalloc", 64, "ext4", GroundTruth::Ours, |i, _| {
        ext(i, &["-t", "ext4", "-O", "bigalloc"])
    }),
    ("ext4, adopted, quota", 64, "ext4", GroundTruth::Ours, |i, _| ext(i, &["-t", "ext4", "-O", "quota"])),
    ("ext4, journal to replay", 64, "ext4", GroundTruth::Ours, |i, ids| dirty(i, ids)),
    ("xfs, ours", 64, "xfs", GroundTruth::Ours, |i, ids| xfs(i, &["-m", &format!("uuid={}", ids.ours)])),
    ("xfs, adopted", 64, "xfs", GroundTruth::Ours, |i, _| xfs(i, &[])),
    // As after the disk was grown in the cloud. Not ext4: to grow that takes CAP_SYS_RESOURCE, which a machine may lack.
    ("xfs, adopted, smaller than its disk", 64, "xfs", GroundTruth::Ours, |i, _| xfs(i, &["-d", "size=40m"])),
    ("xfs, adopted, version 4", 64, "xfs", GroundTruth::Ours, |i, _| xfs(i, &["-m", "crc=0"])),
    ("ext4, another volume's", 64, "ext4", GroundTruth::Data, |i, ids| {
        ext(i, &["-t", "ext4", "-U", &ids.others])
    }),
    ("xfs, another volume's", 64, "xfs", GroundTruth::Data, |i, ids| {
        xfs(i, &["-m", &format!("uuid={}", ids.others)])
    }),
    ("ext4 behind a LUKS 2 header", 64, "ext4", GroundTruth::Data, |i, _| {
        owned(i, &[(0, b"LUKS\xba\xbe\x00\x02")])
    }),
    ("ext4 behind a partition table", 64, "ext4", GroundTruth::Data, |i, _| {
        owned(i, &[(446, b"\x80\x20\x21\0\x83\xfe\xff\xff\0\x08\0\0\0\xf8\x01\0"), (510, b"\x55\xaa")]);
    }),
    ("ext4 in an md 1.0 RAID member", 64, "ext4", GroundTruth::Data, |i, _| {
        owned(i, &[(-8192, b"\xfc\x4e\x2b\xa9\x01\0\0\0")]);
    }),
    ("ext2", 64, "ext4", GroundTruth::Data, |i, _| ext(i, &["-t", "ext2"])),
    ("ext4, xfs asked", 64, "xfs", GroundTruth::Data, |i, _| ext(i, &["-t", "ext4"])),
    ("ext3, ext4 asked", 64, "ext4", GroundTruth::Data, |i, _| ext(i, &["-t", "ext3"])),
    ("xfs, ext4 asked", 64, "ext4", GroundTruth::Data, |i, _| xfs(i, &[])),
    ("vfat, ext4 asked", 64, "ext4", GroundTruth::Data, |i, _| vfat(i, "16")),
    // The kernel here has no vfat: a clear refusal. Where it has, they would be mounted; see `outcomes`.
    ("vfat 12", 16, "vfat", GroundTruth::Ours, |i, _| vfat(i, "12")),
    ("vfat 16", 64, "vfat", GroundTruth::Ours, |i, _| vfat(i, "16")),
    ("vfat 32", 64, "vfat", GroundTruth::Ours, |i, _| vfat(i, "32")),
    ("ext4, external journal device", 64, "ext4", GroundTruth::Data, |i, _| {
        ext(i, &["-O", "journal_dev", "-b", "4096"])
    }),
    ("ext4, first superblock zeroed, 1 KiB", 64, "ext4", GroundTruth::Data, |i, _| headless_ext(i, "1024")),
    ("ext4, first superblock zeroed, 2 KiB", 64, "ext4", GroundTruth::Data, |i, _| headless_ext(i, "2048")),
    ("ext4, first superblock zeroed, 4 KiB", 192, "ext4", GroundTruth::Data, |i, _| headless_ext(i, "4096")),
    ("ext4, only superblock copies left, 4 KiB", 192, "ext4", GroundTruth::Data, |i, _| only_copies(i)),
    ("xfs, first superblock zeroed", 64, "xfs", GroundTruth::Data, |i, _| headless_xfs(i)),
    ("vfat 32, first boot sector zeroed", 64, "vfat", GroundTruth::Data, |i, _| {
        vfat(i, "32");
        zero(i, 0..512);
    }),
    ("random from end to end", 16, "ext4", GroundTruth::Data, |i, _| random(i)),
    ("0xff from end to end", 16, "ext4", GroundTruth::Data, |i, _| {
        fs::write(i, vec![0xff; 16 << 20]).unwrap()
    }),
];

/// Those whose program may be missing on a machine; the crafted table has the same formats in bytes.
const OPTIONAL: &[(&str, &str, u64, Maker)] = &[
    ("mkfs.btrfs", "btrfs", 128, |i, _| drop(run("mkfs.btrfs", &["-q", path(i)]))),
    ("mkfs.btrfs", "btrfs, first superblock zeroed", 128, |i, _| {
        run("mkfs.btrfs", &["-q", path(i)]);
        zero(i, 0..1 << 20);
    }),
    ("cryptsetup", "LUKS 1 by cryptsetup", 16, |i, _| luks(i, "luks1")),
    ("cryptsetup", "LUKS 2 by cryptsetup", 32, |i, _| luks(i, "luks2")),
    ("cryptsetup", "LUKS 2 by cryptsetup, primary zeroed", 32, |i, _| {
        luks(i, "luks2");
        zero(i, 0..4096);
    }),
    ("pvcreate", "LVM by pvcreate", 64, |i, _| lvm(i)),
    ("sfdisk", "GPT by sfdisk", 64, |i, _| table(i, "gpt")),
    ("sfdisk", "MBR by sfdisk", 64, |i, _| table(i, "dos")),
    ("mkswap", "swap by mkswap", 64, |i, _| drop(run("mkswap", &[path(i)]))),
];

/// All rows that real programs make.
pub(crate) fn contents(ids: &'static Ids) -> Vec<Content> {
    let made = MADE.iter().map(|(name, mib, ask, truth, make)| Content {
        name: (*name).to_owned(),
        mib: *mib,
        ask,
        truth: *truth,
        make: Box::new(move |image| make(image, ids)),
    });
    let optional =
        OPTIONAL.iter().filter(|(program, ..)| have(program)).map(|(_, name, mib, make)| Content {
            name: (*name).to_owned(),
            mib: *mib,
            ask: "ext4",
            truth: GroundTruth::Data,
            make: Box::new(move |image| make(image, ids)),
        });
    made.chain(optional).collect()
}

fn ext(image: &Path, args: &[&str]) {
    run("mke2fs", &[args, &["-q", "-F", path(image)]].concat());
}

/// The three variables are how xfsprogs' own tests allow a file system below 300 MiB.
fn xfs(image: &Path, args: &[&str]) {
    let small = [("TEST_DIR", "1"), ("TEST_DEV", "1"), ("QA_CHECK_FS", "1")];
    let done = Command::new("mkfs.xfs").args(args).arg("-q").arg(image).envs(small).output().unwrap();
    assert!(done.status.success(), "mkfs.xfs: {}", String::from_utf8_lossy(&done.stderr));
}

fn vfat(image: &Path, bits: &str) {
    run("mkfs.vfat", &["-F", bits, path(image)]);
}

fn luks(image: &Path, kind: &str) {
    let cheap = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
    let key = image.with_extension("key");
    fs::write(&key, "a key").unwrap();
    run(
        "cryptsetup",
        &[&["luksFormat", "-q", "--type", kind], &cheap[..], &[path(image), path(&key)]].concat(),
    );
}

fn lvm(image: &Path) {
    let device = Loop::attach(image, false);
    run("pvcreate", &["-qq", "-y", &device.dev()]);
}

fn table(image: &Path, label: &str) {
    let script = format!("echo 'label: {label}\n,,L' | sfdisk -q {}", path(image));
    run("sh", &["-c", &script]);
}

/// The image as power loss leaves it: copied while it is mounted, with the journal marked for replay.
fn dirty(image: &Path, ids: &Ids) {
    ext(image, &["-t", "ext4", "-U", &ids.ours]);
    let (mount, live) = (tempfile::tempdir().unwrap(), image.with_extension("live"));
    fs::rename(image, &live).unwrap();
    let device = Loop::attach(&live, false);
    run("mount", &["-t", "ext4", &device.dev(), path(mount.path())]);
    fs::write(mount.path().join("precious"), "data").unwrap();
    run("sync", &["-f", path(mount.path())]);
    lab::copy(&live, image);
    run("umount", &[path(mount.path())]);
    fs::remove_file(live).unwrap();
    assert!(run("dumpe2fs", &["-h", path(image)]).contains("needs_recovery"));
}

/// A whole file system that somebody owns: it is a part of his data, or a leftover.
fn owned(image: &Path, sign: &[craft::Patch]) {
    run("mke2fs", &["-q", "-F", "-t", "ext4", path(image), "60M"]);
    craft::write(image, sign);
}

/// At a place that is in no table and falls between the samples.
fn hidden(image: &Path) {
    craft::write(image, &[((41 << 20) + 123_456, b"customer data")]);
}

/// As after `dd if=/dev/zero bs=64k count=1` by mistake: the copies in the other groups are whole.
fn headless_ext(image: &Path, block: &str) {
    ext(image, &["-t", "ext4", "-b", block]);
    zero(image, 0..64 << 10);
}

/// Nothing but the superblock copies survives: all of the first block group and everything behind it is zero.
fn only_copies(image: &Path) {
    use std::os::unix::fs::FileExt;
    ext(image, &["-t", "ext4", "-b", "4096"]);
    let copy_at = 32_768 * 4096;
    let mut copy = vec![0; 1024];
    fs::File::open(image).unwrap().read_exact_at(&mut copy, copy_at).unwrap();
    assert_eq!(copy[56..58], [0x53, 0xef], "mke2fs keeps a copy in group 1");
    lab::blank(image, 192);
    fs::OpenOptions::new().write(true).open(image).unwrap().write_all_at(&copy, copy_at).unwrap();
}

fn headless_xfs(image: &Path) {
    xfs(image, &[]);
    zero(image, 0..64 << 10);
}

fn random(image: &Path) {
    use rand::{RngCore, SeedableRng};
    let mut bytes = vec![0; 16 << 20];
    rand::rngs::SmallRng::seed_from_u64(1).fill_bytes(&mut bytes);
    fs::write(image, bytes).unwrap();
}
