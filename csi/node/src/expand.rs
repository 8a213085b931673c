//! NodeExpandVolume: waits until the kernel shows the new size, then grows what carries the volume and its file system, and proves it.

use std::time::Instant;

use eck_csi::context::PublishContext;
use eck_csi::volume::{FsType, VolumeId};

use crate::error::ExpandError;
use crate::host::Host;
use crate::request::Expand;

/// The volume's size in bytes afterwards.
pub(crate) fn expand(
    host: &impl Host,
    volume: &VolumeId,
    q: &Expand,
    deadline: Instant,
) -> Result<u64, ExpandError> {
    let not_there = || ExpandError::NotThere { volume: volume.to_string(), path: q.path.clone() };
    if host.devices(&q.disk.serials())?.is_empty() {
        return Err(not_there());
    }
    let node = host.node_at(&q.path)?;
    let mount = host.mounts()?.at(&q.path).cloned();
    if node.is_none() && mount.is_none() {
        return Err(not_there());
    }
    let want = PublishContext::new(q.disk.clone(), q.bytes.max(1));
    let device = host.wait_for_device(&want, deadline)?;
    let top = match host.luks().on(&q.disk, &device)? {
        Some(mapping) => host.luks().stretch(&mapping)?,
        None => device.clone(),
    };
    let number = (top.major, top.minor);
    match (node, mount) {
        // A block volume has grown when the kernel shows it.
        (Some(node), _) if node == number => Ok(device.size_bytes),
        (None, Some(mount)) if mount.device == number => {
            let fs = FsType::ALL.into_iter().find(|fs| fs.as_str() == mount.fs);
            let unknown = || ExpandError::UnknownFs { path: q.path.clone(), fs: mount.fs.clone() };
            host.grow(&top, fs.ok_or_else(unknown)?, &q.path)?;
            Ok(device.size_bytes)
        }
        _ => Err(not_there()),
    }
}
