//! The machine itself: [`Host`] on Linux. Each method is one call into the file that knows how.

use std::path::Path;
use std::time::Instant;

use eck_csi::context::PublishContext;
use eck_csi::volume::FsType;
use nix::sys::statvfs::statvfs;
use uuid::Uuid;

use super::device::{self, Opened};
use super::events::Events;
use super::sysfs::Sysfs;
use super::{
    Check, Content, Depth, Device, DeviceError, Format, FsError, FsStats, Host, Luks, MountError, MountTable,
};
use super::{filesystem, mount, path};

/// This machine.
#[derive(Debug, Clone)]
pub struct Linux {
    sysfs: Sysfs,
    luks: Luks,
}

impl Linux {
    /// `root` is the folder that holds `sys`: `/`, or a tree that shows loop devices as disks with serials.
    pub fn new(root: &Path) -> Self {
        let sysfs = Sysfs::new(root);
        Self { luks: Luks::new(sysfs.clone()), sysfs }
    }
}

/// The one device that is large enough.
fn only(found: Vec<Device>, want: &PublishContext) -> Result<Device, DeviceError> {
    let serials = want.serials.join(", ");
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (None, _) => Err(DeviceError::NotThere { serials }),
        (Some(one), None) if one.size_bytes < want.size_bytes => {
            Err(DeviceError::TooSmall { device: one.name, has: one.size_bytes, needs: want.size_bytes })
        }
        (Some(one), None) => Ok(one),
        (Some(one), Some(other)) => {
            let names: Vec<String> = [one, other].into_iter().chain(found).map(|d| d.name).collect();
            Err(DeviceError::Ambiguous { serials, devices: names.join(", ") })
        }
    }
}

impl Host for Linux {
    fn devices(&self, serials: &[String]) -> Result<Vec<Device>, DeviceError> {
        self.sysfs.devices(serials)
    }

    fn luks(&self) -> &Luks {
        &self.luks
    }

    fn wait_for_device(&self, want: &PublishContext, deadline: Instant) -> Result<Device, DeviceError> {
        let look = || only(self.sysfs.devices(&want.serials)?, want);
        let waits =
            |e: &DeviceError| matches!(e, DeviceError::NotThere { .. } | DeviceError::TooSmall { .. });
        match look() {
            Err(error) if waits(&error) => {}
            found => return found,
        }
        let events = Events::subscribe(self.sysfs.block());
        loop {
            match look() {
                Err(error) if waits(&error) && Instant::now() < deadline => events.wait(deadline),
                found => return found,
            }
        }
    }

    fn recheck(&self, device: &Device) -> Result<Device, DeviceError> {
        filesystem::recheck(&self.sysfs, device)
    }

    fn probe(&self, device: &Device, depth: Depth) -> Result<Content, DeviceError> {
        Opened::direct(device)?.probe(device, depth)
    }

    fn supports(&self, fs: FsType) -> bool {
        mount::supports(fs)
    }

    fn format(&self, device: &Device, format: &Format) -> Result<(), FsError> {
        filesystem::format(&self.sysfs, device, format)
    }

    fn check(&self, device: &Device, fs: FsType, check: Check) -> Result<(), FsError> {
        filesystem::check(device, fs, check)
    }

    fn set_uuid(&self, device: &Device, fs: FsType, uuid: Uuid) -> Result<bool, FsError> {
        filesystem::set_uuid(&self.sysfs, device, fs, uuid)
    }

    fn grow(&self, device: &Device, fs: FsType, mounted_at: &Path) -> Result<(), FsError> {
        filesystem::grow(device, fs, mounted_at)
    }

    fn trim(&self, at: &Path, from: u64, bytes: u64) -> Result<(), FsError> {
        filesystem::trim(at, from, bytes)
    }

    fn mounts(&self) -> Result<MountTable, MountError> {
        mount::table()
    }

    fn mount(
        &self,
        device: &Device,
        fs: FsType,
        target: &Path,
        options: &[String],
        read_only: bool,
    ) -> Result<(), MountError> {
        mount::mount(device, fs, target, options, read_only)
    }

    fn bind(
        &self,
        source: &Path,
        target: &Path,
        options: &[String],
        read_only: bool,
    ) -> Result<(), MountError> {
        mount::bind(source, target, options, read_only)
    }

    fn bind_device(&self, device: &Device, target: &Path, read_only: bool) -> Result<(), MountError> {
        mount::bind(&device.path, target, &[], read_only)
    }

    fn unmount(&self, target: &Path) -> Result<(), MountError> {
        mount::unmount(target)
    }

    fn make_target(&self, target: &Path, block: bool) -> Result<(), MountError> {
        mount::make_target(target, block)
    }

    fn remove_target(&self, target: &Path) -> Result<(), MountError> {
        mount::remove_target(target)
    }

    fn node_at(&self, path: &Path) -> Result<Option<(u64, u64)>, MountError> {
        mount::node_at(path)
    }

    fn foreign_disks(&self) -> Result<u32, DeviceError> {
        let seen = mount::table().map_err(|error| DeviceError::Io {
            what: "mount table".to_owned(),
            source: std::io::Error::other(error),
        })?;
        let mut count = 0;
        for disk in self.sysfs.disks()? {
            let mounted = seen.of((disk.major, disk.minor)).next().is_some();
            let ours = mounted || self.sysfs.encrypted(&disk.name);
            // A disk that goes away right now takes no slot.
            let held = !ours && !self.sysfs.partitioned(&disk.name) && device::in_use(&disk).unwrap_or(false);
            count += u32::from(held);
        }
        Ok(count)
    }

    fn in_use(&self, device: &Device) -> Result<bool, DeviceError> {
        device::in_use(device)
    }

    fn stats(&self, at: &Path) -> Result<FsStats, MountError> {
        let place = path::open_at(at)?;
        let stats = statvfs(place.path().as_path()).map_err(|errno| {
            let what = format!("statvfs {}", at.display());
            MountError::Io { what, source: errno.into() }
        })?;
        let unit = stats.fragment_size();
        let free = stats.blocks_free();
        Ok(FsStats {
            bytes: (
                stats.blocks() * unit,
                stats.blocks_available() * unit,
                stats.blocks().saturating_sub(free) * unit,
            ),
            inodes: (stats.files(), stats.files_free(), stats.files().saturating_sub(stats.files_free())),
        })
    }

    fn answers(&self, device: &Device) -> Result<(), DeviceError> {
        Opened::direct(device)?.answers(device)
    }

    fn lists(&self, at: &Path) -> Result<(), MountError> {
        let place = path::open_at(at)?;
        let entry = std::fs::read_dir(place.path()).and_then(|mut entries| entries.next().transpose());
        let failed = |source| MountError::Io { what: format!("read the directory {}", at.display()), source };
        entry.map(drop).map_err(failed)
    }

    fn errors_counted(&self, device: &Device) -> u64 {
        filesystem::errors_counted(device)
    }
}
