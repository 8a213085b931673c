//! Waits until a volume's disk is there.

use std::time::Instant;

use eck_csi::context::PublishContext;

use super::device::Device;
use super::error::DeviceError;
use super::events::Events;
use super::sysfs::Sysfs;

/// See [`super::machine::Devices::wait_for_device`].
pub(super) fn wait_for_device(
    sysfs: &Sysfs,
    want: &PublishContext,
    deadline: Instant,
) -> Result<Device, DeviceError> {
    let find = || only(sysfs.devices(&want.serials)?, want);
    let waits = |e: &DeviceError| matches!(e, DeviceError::NotFound { .. } | DeviceError::TooSmall { .. });
    match find() {
        Err(error) if waits(&error) => {}
        found => return found,
    }
    let events = Events::subscribe(sysfs.block());
    loop {
        match find() {
            Err(error) if waits(&error) && Instant::now() < deadline => events.wait(deadline),
            found => return found,
        }
    }
}

/// The one device that is large enough.
pub(super) fn only(found: Vec<Device>, want: &PublishContext) -> Result<Device, DeviceError> {
    let serials = want.serials.join(", ");
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (None, _) => Err(DeviceError::NotFound { serials }),
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
