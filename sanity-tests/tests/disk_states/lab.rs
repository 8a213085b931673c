//! The bench: images, loop devices, a sysfs-like tree that gives them serials, and a byte comparison of sparse files.
//! Everything here is taken down on drop, so that a failed case leaves no device behind.

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ecx_sim::plane::sysfs;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Whence, lseek};
use parking_lot::Mutex;

/// Runs a program; its text is in the panic when it fails.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).stdin(Stdio::null()).output();
    let out = out.unwrap_or_else(|e| panic!("{program}: {e}"));
    let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    assert!(out.status.success(), "{program} {args:?}: {text} {}", String::from_utf8_lossy(&out.stderr));
    text
}

/// Whether the program is installed.
pub(crate) fn have(program: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|dir| Path::new(dir).join(program).exists())
}

/// A new sparse image of `mib`.
pub(crate) fn blank(image: &Path, mib: u64) {
    File::create(image).unwrap().set_len(mib << 20).unwrap();
}

/// A copy that stays sparse.
pub(crate) fn copy(from: &Path, to: &Path) {
    run("cp", &["--reflink=auto", "--sparse=always", path(from), path(to)]);
}

/// The path as text; every path here is ours and plain.
pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The first number that is used. Whoever asks the kernel for a free device gets the lowest, so nobody else gets one of
/// these while it is between two images.
const FIRST: u32 = 300;

/// A loop device's number. A lock keeps it from the other parts of this test, and from another run of it.
#[derive(Debug)]
struct Number {
    number: u32,
    // Held for its life.
    _lock: Flock<File>,
}

/// Numbers that this process has and does not use right now.
static NUMBERS: Mutex<Vec<Number>> = Mutex::new(Vec::new());

impl Number {
    fn take() -> Self {
        let kept = NUMBERS.lock().pop();
        let free = |number: u32| {
            let file = File::create(std::env::temp_dir().join(format!("disk_states.loop{number}"))).unwrap();
            let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()?;
            // One that a killed run has left behind.
            let taken = Path::new(&format!("/sys/block/loop{number}/loop")).exists();
            (!taken).then_some(Self { number, _lock: lock })
        };
        kept.or_else(|| (FIRST..FIRST + 100).find_map(free)).unwrap()
    }
}

/// A loop device over an image.
#[derive(Debug)]
pub(crate) struct Loop {
    /// The kernel's name.
    pub(crate) name: String,
    number: Option<Number>,
    attached: bool,
}

impl Loop {
    /// Attaches a device that nobody uses.
    pub(crate) fn attach(image: &Path, read_only: bool) -> Self {
        let number = Number::take();
        let mut device =
            Self { name: format!("loop{}", number.number), number: Some(number), attached: false };
        let mut args = vec!["--nooverlap"];
        args.extend(read_only.then_some("--read-only"));
        device.set_up(&args, image);
        device
    }

    /// Puts another image under the same name: the kernel counts a new `diskseq`.
    pub(crate) fn replace(&mut self, image: &Path) {
        self.detach();
        self.set_up(&[], image);
    }

    /// Whoever looks at new disks (udev) may still have an old one of this name open: it is gone at the last close.
    fn set_up(&mut self, options: &[&str], image: &Path) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let dev = self.dev();
        let args = [options, &[dev.as_str(), path(image)]].concat();
        let attach = || Command::new("losetup").args(&args).stderr(Stdio::null()).status().unwrap().success();
        self.attached =
            std::iter::repeat_with(attach).find(|done| *done || Instant::now() > deadline).unwrap();
        let there = Path::new(&format!("/sys/block/{}/loop", self.name)).exists();
        assert!(self.attached && there, "{} stays busy", self.name);
    }

    /// Takes the device away; the kernel does it at the last close.
    pub(crate) fn detach(&mut self) {
        if std::mem::take(&mut self.attached) {
            run("losetup", &["--detach", &self.dev()]);
        }
    }

    /// The device's path.
    pub(crate) fn dev(&self) -> String {
        format!("/dev/{}", self.name)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        if self.attached {
            let _ = Command::new("losetup").args(["--detach", &self.dev()]).status();
        }
        NUMBERS.lock().extend(self.number.take());
    }
}

/// A root folder under which `sys/block/<loop>` looks like a virtio disk's: with a serial.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The folder that stands for `/`.
    pub(crate) root: PathBuf,
}

impl Tree {
    /// An empty tree in `root`.
    pub(crate) fn new(root: PathBuf) -> Self {
        sysfs::boot(&root).unwrap();
        Self { root }
    }

    /// Shows the device with the serial.
    pub(crate) fn show(&self, device: &str, serial: &str) {
        sysfs::plug(&self.root, device, serial).unwrap();
    }

    /// Hides the device as the kernel does when a disk is unplugged.
    pub(crate) fn hide(&self, device: &str) {
        sysfs::unplug(&self.root, device).unwrap();
    }
}

const BLOCK: usize = 64 << 10;

/// The first block of `range` in which the files differ, or `None` when every byte is the same. Holes read as zeros.
pub(crate) fn difference(left: &Path, right: &Path, range: Range<u64>) -> Option<u64> {
    let (a, b) = (File::open(left).unwrap(), File::open(right).unwrap());
    let mut blocks: Vec<u64> = data(&a).chain(data(&b)).filter(|at| range.contains(at)).collect();
    blocks.sort_unstable();
    blocks.dedup();
    blocks.into_iter().find(|at| read(&a, *at, range.end) != read(&b, *at, range.end))
}

/// The blocks that hold data.
fn data(file: &File) -> impl Iterator<Item = u64> + '_ {
    let mut at = 0;
    let mut extent = 0..0;
    std::iter::from_fn(move || {
        if extent.is_empty() {
            let start = lseek(file.as_fd(), i64::try_from(at).ok()?, Whence::SeekData).ok()?;
            let end = lseek(file.as_fd(), start, Whence::SeekHole).ok()?;
            extent = start.unsigned_abs() / BLOCK as u64..end.unsigned_abs().div_ceil(BLOCK as u64);
            at = extent.end * BLOCK as u64;
        }
        extent.next().map(|block| block * BLOCK as u64)
    })
}

fn read(file: &File, at: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK.min(usize::try_from(len - at).unwrap())];
    file.read_exact_at(&mut bytes, at).unwrap();
    bytes
}

/// Zeroes `range` of the image.
pub(crate) fn zero(image: &Path, range: Range<u64>) {
    let file = OpenOptions::new().write(true).open(image).unwrap();
    file.write_all_at(&vec![0; usize::try_from(range.end - range.start).unwrap()], range.start).unwrap();
}

#[test]
fn the_comparison_sees_one_byte_and_takes_holes_for_zeros() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    blank(&a, 3);
    blank(&b, 3);
    zero(&b, 1 << 20..2 << 20);
    assert_eq!(difference(&a, &b, 0..3 << 20), None);
    OpenOptions::new().write(true).open(&b).unwrap().write_all_at(b"x", 2_500_001).unwrap();
    assert_eq!(difference(&a, &b, 0..3 << 20), Some(2_500_001 / BLOCK as u64 * BLOCK as u64));
}
