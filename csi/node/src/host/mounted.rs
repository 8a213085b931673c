//! A mounted file system: its statistics, and whether it still works.

use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::device::Device;
use super::error::MountError;
use super::path;

/// Bytes and inodes of a mounted file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FsStats {
    /// Total, available to users and used, in bytes.
    pub bytes: (u64, u64, u64),
    /// Total, free and used inodes; zero where the file system has none.
    pub inodes: (u64, u64, u64),
}

/// See [`super::machine::Filesystems::stats`].
pub(super) fn stats(at: &Path) -> Result<FsStats, MountError> {
    let handle = path::open_at(at)?;
    let stats = statvfs(handle.path().as_path()).map_err(|errno| {
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

/// See [`super::machine::Filesystems::can_list`].
pub(super) fn can_list(at: &Path) -> Result<(), MountError> {
    let handle = path::open_at(at)?;
    let entry = std::fs::read_dir(handle.path()).and_then(|mut entries| entries.next().transpose());
    let failed = |source| MountError::Io { what: format!("read the directory {}", at.display()), source };
    entry.map(drop).map_err(failed)
}

/// See [`super::Host::errors_counted`].
pub(super) fn errors_counted(device: &Device) -> u64 {
    // ext3 and ext4 count; the others have no such file (Documentation/ABI/testing/sysfs-fs-ext4).
    let counted = std::fs::read_to_string(format!("/sys/fs/ext4/{}/errors_count", device.name));
    counted.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
