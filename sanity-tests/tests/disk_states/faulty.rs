//! The machine with one thing wrong at one moment: every call goes to the real one, some meet a hook on the way.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use eck_csi::volume::FsType;
use eck_csi_node::host::content::{ReadAt, read};
use eck_csi_node::host::sysfs::Sysfs;
use eck_csi_node::host::{
    Content, Depth, Device, DeviceError, Devices, Encryption, Filesystems, Format, HostError, Linux, Machine,
    MountError, Mounts,
};
use nix::errno::Errno;

/// Something that happens at a moment.
pub(crate) type Hook = Box<dyn Fn() + Send + Sync>;

/// What goes wrong, and what was counted.
#[derive(Default)]
pub(crate) struct Faults {
    /// Bytes that cannot be read.
    pub(crate) unreadable: Option<Range<u64>>,
    /// When the disk is about to be probed for the first time.
    pub(crate) before_probe: Option<Hook>,
    /// When it has been.
    pub(crate) after_probe: Option<Hook>,
    /// When it is about to be formatted.
    pub(crate) before_format: Option<Hook>,
    /// The next mount fails.
    pub(crate) mount_fails: AtomicBool,
    /// Over: from now on the machine is as it should be.
    pub(crate) over: AtomicBool,
    /// Probes so far.
    pub(crate) probes: AtomicUsize,
    /// Orders to format so far.
    pub(crate) formats: AtomicUsize,
}

/// The machine.
pub(crate) struct Faulty {
    linux: Linux,
    faults: Arc<Faults>,
}

impl Faulty {
    /// `linux` with `faults`.
    pub(crate) fn new(linux: Linux, faults: Arc<Faults>) -> Self {
        Self { linux, faults }
    }
}

/// A device of which a range cannot be read.
struct UnreadableRange<'a>(File, &'a Range<u64>);

impl ReadAt for UnreadableRange<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        if self.1.start < at + buffer.len() as u64 && at < self.1.end {
            return Err(Errno::EIO.into());
        }
        self.0.read_exact_at(buffer, at)
    }
}

/// What an image holds, by the driver's own reading.
pub(crate) fn content(image: &Path, depth: Depth) -> Content {
    let file = File::open(image).unwrap();
    let size = file.metadata().unwrap().len();
    read(&UnreadableRange(file, &(0..0)), size, depth).unwrap()
}

impl Machine for Faulty {
    fn sysfs(&self) -> &Sysfs {
        self.linux.sysfs()
    }
}

impl Devices for Faulty {
    fn probe(&self, device: &Device, depth: Depth) -> Result<Content, HostError> {
        let first = self.faults.probes.fetch_add(1, Ordering::SeqCst) == 0;
        let call = |hook: &Option<Hook>| hook.iter().filter(|_| first).for_each(|hook| hook());
        call(&self.faults.before_probe);
        let content = match &self.faults.unreadable {
            Some(bad) if !self.faults.over.load(Ordering::SeqCst) => {
                let file = File::open(&device.path).unwrap();
                let unreadable =
                    |at| DeviceError::Unreadable { device: device.name.clone(), at, errno: Errno::EIO };
                read(&UnreadableRange(file, bad), device.size_bytes, depth)
                    .map_err(|e| unreadable(e.at).into())
            }
            _ => self.linux.probe(device, depth),
        };
        call(&self.faults.after_probe);
        content
    }
}

impl Filesystems for Faulty {
    fn format(&self, device: &Device, format: &Format) -> Result<(), HostError> {
        self.faults.formats.fetch_add(1, Ordering::SeqCst);
        self.faults.before_format.iter().for_each(|hook| hook());
        self.linux.format(device, format)
    }
}

impl Mounts for Faulty {
    fn mount(
        &self,
        device: &Device,
        fs: FsType,
        target: &Path,
        options: &[String],
        read_only: bool,
    ) -> Result<(), HostError> {
        if self.faults.mount_fails.swap(false, Ordering::SeqCst) {
            let what = format!("mount {}", device.name);
            return Err(MountError::Io { what, source: Errno::EIO.into() }.into());
        }
        self.linux.mount(device, fs, target, options, read_only)
    }
}

impl Encryption for Faulty {}
