//! Disks of this machine that somebody else than the cluster uses.

use super::error::HostError;
use super::sysfs::Sysfs;
use super::{mount, opened};

/// See [`super::machine::Devices::foreign_disks`].
pub(super) fn foreign_disks(sysfs: &Sysfs) -> Result<u32, HostError> {
    let mounts = mount::table()?;
    let mut count = 0;
    for disk in sysfs.disks()? {
        let mounted = mounts.of_device((disk.major, disk.minor)).next().is_some();
        let ours = mounted || sysfs.encrypted(&disk.name);
        // A disk that goes away right now takes no slot.
        let held = !ours && !sysfs.partitioned(&disk.name) && opened::in_use(&disk).unwrap_or(false);
        count += u32::from(held);
    }
    Ok(count)
}
