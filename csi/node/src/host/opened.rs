//! A device, opened: read with O_DIRECT, and known by its number.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::content::{self, Content, Depth, ReadAt, ReadError, read};
use super::device::Device;
use super::error::DeviceError;

/// An open device. While this lives, the kernel gives its number and name to no other disk.
pub(super) struct Opened {
    file: File,
}

/// What failed, of the device, in words.
pub(super) fn failed(device: &Device, what: &str) -> impl FnOnce(io::Error) -> DeviceError {
    let what = format!("{what} {}", device.path.display());
    move |source| DeviceError::Io { what, source }
}

impl Opened {
    /// Opens for reading past the page cache.
    pub(super) fn direct(device: &Device) -> Result<Self, DeviceError> {
        Ok(Self { file: open(device, OFlag::O_DIRECT)? })
    }

    /// Opens for reading through the page cache, in which a mounted ext file system keeps its newest superblock.
    pub(super) fn cached(device: &Device) -> Result<Self, DeviceError> {
        Ok(Self { file: open(device, OFlag::empty())? })
    }

    /// Reads the first and the last block.
    pub(super) fn responds(&self, device: &Device) -> Result<(), DeviceError> {
        content::read_ends(self, device.size_bytes).map_err(|e| unreadable(device, e))
    }

    /// What the device holds.
    pub(super) fn probe(&self, device: &Device, depth: Depth) -> Result<Content, DeviceError> {
        read(self, device.size_bytes, depth).map_err(|e| unreadable(device, e))
    }
}

/// Opens for reading and writing, as the only one who may: no mount and no mapping holds the device meanwhile.
pub(super) fn exclusive(device: &Device) -> Result<File, DeviceError> {
    open_for(device, OpenOptions::new().read(true).write(true), OFlag::O_EXCL)
}

/// Opens for reading and writing beside whoever holds the device.
pub(super) fn shared(device: &Device) -> Result<File, DeviceError> {
    open_for(device, OpenOptions::new().read(true).write(true), OFlag::empty())
}

fn unreadable(device: &Device, error: ReadError) -> DeviceError {
    let errno = Errno::from_raw(error.source.raw_os_error().unwrap_or(Errno::EIO as i32));
    DeviceError::Unreadable { device: device.name.clone(), at: error.at, errno }
}

/// Opens the node and makes sure that it is the device with the number that was identified.
fn open(device: &Device, flags: OFlag) -> Result<File, DeviceError> {
    open_for(device, OpenOptions::new().read(true), flags)
}

fn open_for(device: &Device, options: &mut OpenOptions, flags: OFlag) -> Result<File, DeviceError> {
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = options.custom_flags(flags.bits()).open(&device.path);
    let file = file.map_err(failed(device, "open"))?;
    let meta = file.metadata().map_err(failed(device, "look at"))?;
    let number = (nix::sys::stat::major(meta.rdev()), nix::sys::stat::minor(meta.rdev()));
    if !meta.file_type().is_block_device() || number != (device.major, device.minor) {
        let what = format!("{} has the number {}:{}", device.path.display(), number.0, number.1);
        return Err(DeviceError::Changed { device: device.name.clone(), what });
    }
    Ok(file)
}

/// True while anybody holds the device exclusively.
pub(super) fn in_use(device: &Device) -> Result<bool, DeviceError> {
    match open(device, OFlag::O_EXCL) {
        Ok(_) => Ok(false),
        Err(DeviceError::Io { source, .. }) if source.kind() == io::ErrorKind::ResourceBusy => Ok(true),
        Err(error) => Err(error),
    }
}

impl ReadAt for Opened {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        FileExt::read_exact_at(&self.file, buffer, at)
    }
}
