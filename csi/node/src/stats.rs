//! NodeGetVolumeStats: bytes and inodes of a file system, the size of a block volume.

use std::path::Path;

use eck_csi::volume::DiskId;

use crate::error::StatsError;
use crate::host::{FsStats, Host};

/// What a volume has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stats {
    /// A file system.
    Fs(FsStats),
    /// A block device of so many bytes.
    Block(u64),
}

/// Looks; may hang as long as the file system does.
pub(crate) fn stats(host: &impl Host, disk: &DiskId, path: &Path) -> Result<Stats, StatsError> {
    let disks = host.devices(&disk.serials())?.into_iter();
    let tops = disks.map(|device| host.luks().top(disk, &device)).collect::<Result<Vec<_>, _>>()?;
    let is_ours = |number: (u64, u64)| tops.iter().find(|d| (d.major, d.minor) == number);
    let mount = host.mounts()?.at(path).cloned();
    let not_there = || StatsError::NotThere { path: path.to_owned() };
    match mount {
        None => Err(not_there()),
        Some(mount) if is_ours(mount.device).is_some() => Ok(Stats::Fs(host.stats(path)?)),
        Some(_) => {
            let device = host.node_at(path)?.and_then(is_ours);
            device.map(|device| Stats::Block(device.size_bytes)).ok_or_else(not_there)
        }
    }
}
