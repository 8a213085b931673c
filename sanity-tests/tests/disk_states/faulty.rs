//! The machine with one thing wrong at one moment: every call goes to the real one, some meet a hook on the way.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use eck_csi::context::PublishContext;
use eck_csi::volume::FsType;
use eck_csi_node::host::content::{ReadAt, read};
use eck_csi_node::host::linux::Linux;
use eck_csi_node::host::{
    Check, Content, Depth, Device, DeviceError, Format, FsError, FsStats, Host, Luks, MountError, MountTable,
};
use nix::errno::Errno;
use uuid::Uuid;

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

/// A device with a bad place.
struct Bad<'a>(File, &'a Range<u64>);

impl ReadAt for Bad<'_> {
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
    read(&Bad(file, &(0..0)), size, depth).unwrap()
}

impl Host for Faulty {
    fn devices(&self, serials: &[String]) -> Result<Vec<Device>, DeviceError> {
        self.linux.devices(serials)
    }

    fn luks(&self) -> &Luks {
        self.linux.luks()
    }

    fn wait_for_device(&self, want: &PublishContext, deadline: Instant) -> Result<Device, DeviceError> {
        self.linux.wait_for_device(want, deadline)
    }

    fn recheck(&self, device: &Device) -> Result<Device, DeviceError> {
        self.linux.recheck(device)
    }

    fn probe(&self, device: &Device, depth: Depth) -> Result<Content, DeviceError> {
        let first = self.faults.probes.fetch_add(1, Ordering::SeqCst) == 0;
        let call = |hook: &Option<Hook>| hook.iter().filter(|_| first).for_each(|hook| hook());
        call(&self.faults.before_probe);
        let content = match &self.faults.unreadable {
            Some(bad) if !self.faults.over.load(Ordering::SeqCst) => {
                let file = File::open(&device.path).unwrap();
                read(&Bad(file, bad), device.size_bytes, depth).map_err(|e| DeviceError::Unreadable {
                    device: device.name.clone(),
                    at: e.at,
                    errno: Errno::EIO,
                })
            }
            _ => self.linux.probe(device, depth),
        };
        call(&self.faults.after_probe);
        content
    }

    fn supports(&self, fs: FsType) -> bool {
        self.linux.supports(fs)
    }

    fn format(&self, device: &Device, format: &Format) -> Result<(), FsError> {
        self.faults.formats.fetch_add(1, Ordering::SeqCst);
        self.faults.before_format.iter().for_each(|hook| hook());
        self.linux.format(device, format)
    }

    fn check(&self, device: &Device, fs: FsType, check: Check) -> Result<(), FsError> {
        self.linux.check(device, fs, check)
    }

    fn set_uuid(&self, device: &Device, fs: FsType, uuid: Uuid) -> Result<bool, FsError> {
        self.linux.set_uuid(device, fs, uuid)
    }

    fn grow(&self, device: &Device, fs: FsType, mounted_at: &Path) -> Result<(), FsError> {
        self.linux.grow(device, fs, mounted_at)
    }

    fn trim(&self, at: &Path, from: u64, bytes: u64) -> Result<(), FsError> {
        self.linux.trim(at, from, bytes)
    }

    fn mounts(&self) -> Result<MountTable, MountError> {
        self.linux.mounts()
    }

    fn mount(
        &self,
        device: &Device,
        fs: FsType,
        target: &Path,
        options: &[String],
        read_only: bool,
    ) -> Result<(), MountError> {
        if self.faults.mount_fails.swap(false, Ordering::SeqCst) {
            return Err(MountError::Io { what: format!("mount {}", device.name), source: Errno::EIO.into() });
        }
        self.linux.mount(device, fs, target, options, read_only)
    }

    fn bind(
        &self,
        source: &Path,
        target: &Path,
        options: &[String],
        read_only: bool,
    ) -> Result<(), MountError> {
        self.linux.bind(source, target, options, read_only)
    }

    fn bind_device(&self, device: &Device, target: &Path, read_only: bool) -> Result<(), MountError> {
        self.linux.bind_device(device, target, read_only)
    }

    fn unmount(&self, target: &Path) -> Result<(), MountError> {
        self.linux.unmount(target)
    }

    fn make_target(&self, target: &Path, block: bool) -> Result<(), MountError> {
        self.linux.make_target(target, block)
    }

    fn remove_target(&self, target: &Path) -> Result<(), MountError> {
        self.linux.remove_target(target)
    }

    fn node_at(&self, path: &Path) -> Result<Option<(u64, u64)>, MountError> {
        self.linux.node_at(path)
    }

    fn foreign_disks(&self) -> Result<u32, DeviceError> {
        self.linux.foreign_disks()
    }

    fn in_use(&self, device: &Device) -> Result<bool, DeviceError> {
        self.linux.in_use(device)
    }

    fn stats(&self, path: &Path) -> Result<FsStats, MountError> {
        self.linux.stats(path)
    }

    fn answers(&self, device: &Device) -> Result<(), DeviceError> {
        self.linux.answers(device)
    }

    fn lists(&self, path: &Path) -> Result<(), MountError> {
        self.linux.lists(path)
    }

    fn errors_counted(&self, device: &Device) -> u64 {
        self.linux.errors_counted(device)
    }
}
