//! The weekly fstrim of volumes whose class says `discard: periodic`.
//!
//! Which volumes these are must outlive a restart of this program, since the kubelet stages nothing again for it: each has an
//! empty file in the state folder, named as its disk, whose time is that of the last trim, or of its staging.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use eck_csi::volume::DiskId;

use crate::error::TrimError;
use crate::host::Host;

/// As util-linux' fstrim.timer: more often costs the disk more than it frees (fstrim(8)).
const PERIOD: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often it is looked whether a trim is due.
pub(crate) const LOOK: Duration = Duration::from_secs(3600);

/// Bytes of a disk that are trimmed at once: an unstage waits for no more than these.
const PART: u64 = 16 << 30;

/// Trims a part of the volume's disk, `from` a byte on; gives where the next one begins, `None` at the disk's end.
pub(crate) fn part(host: &impl Host, disk: &DiskId, from: u64) -> Result<Option<u64>, TrimError> {
    let not_there = || TrimError::NotThere { disk: disk.to_string() };
    let devices = host.devices(&disk.serials())?;
    let [device] = devices.as_slice() else { return Err(not_there()) };
    let device = host.luks().top(disk, device)?;
    let table = host.mounts()?;
    let mount = table.of((device.major, device.minor)).find(|mount| !mount.read_only);
    let bytes = length(device.size_bytes, from);
    host.trim(&mount.ok_or_else(not_there)?.target, from, bytes)?;
    Ok(Some(from + bytes).filter(|next| *next < device.size_bytes))
}

/// Bytes of the part of a disk that begins at `from`. The last one is no smaller than the others: a file system ends a
/// little before its disk, and the kernel refuses to trim what begins behind the end (ioctl `FITRIM`).
fn length(size: u64, from: u64) -> u64 {
    let rest = size.saturating_sub(from);
    if rest < 2 * PART { rest } else { PART }
}

/// The volumes that are trimmed. Clones share the folder.
#[derive(Debug, Clone)]
pub(crate) struct Trims {
    folder: PathBuf,
}

impl Trims {
    /// Kept in `folder`, which is made when it is needed.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The volume is to be trimmed from now on, first in a week.
    pub(crate) fn add(&self, disk: &DiskId) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let file = File::options().write(true).create_new(true).open(self.folder.join(disk.as_str()));
        match file {
            // Staged before, and not left since.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made.map(drop),
        }
    }

    /// The volume is to be trimmed no more.
    pub(crate) fn remove(&self, disk: &DiskId) -> io::Result<()> {
        match fs::remove_file(self.folder.join(disk.as_str())) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// The volume was trimmed.
    pub(crate) fn trimmed(&self, disk: &DiskId, now: SystemTime) -> io::Result<()> {
        match File::options().write(true).open(self.folder.join(disk.as_str())) {
            // Unstaged meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            file => file?.set_modified(now),
        }
    }

    /// Volumes whose last trim is a week ago.
    pub(crate) fn due(&self, now: SystemTime) -> io::Result<Vec<DiskId>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut due = Vec::new();
        for entry in entries {
            let entry = entry?;
            let disk = entry.file_name().to_str().and_then(DiskId::parse);
            // A time in the future is a clock that was set back.
            let since = entry.metadata().and_then(|meta| meta.modified()).map(|at| now.duration_since(at));
            let over = matches!(since, Ok(Ok(since)) if since >= PERIOD);
            due.extend(disk.filter(|_| over));
        }
        due.sort();
        Ok(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_due_a_week_after_it_was_staged_or_trimmed_and_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let trims = || Trims::new(folder.path().join("trim"));
        let disk = DiskId::parse("cd-a").unwrap();
        let now = SystemTime::now();
        let due = |after: u64| trims().due(now + Duration::from_secs(after)).unwrap();
        const WEEK: u64 = 7 * 24 * 3600;
        assert!(due(2 * WEEK).is_empty());
        trims().add(&disk).unwrap();
        assert!(due(WEEK - 60).is_empty());
        assert_eq!(due(WEEK + 60), std::slice::from_ref(&disk));
        trims().trimmed(&disk, now + Duration::from_secs(WEEK)).unwrap();
        trims().add(&disk).unwrap();
        assert!(due(WEEK + 60).is_empty() && due(2 * WEEK).len() == 1);
        trims().remove(&disk).unwrap();
        trims().remove(&disk).unwrap();
        trims().trimmed(&disk, now).unwrap();
        assert!(due(3 * WEEK).is_empty());
    }

    #[test]
    fn a_disk_is_trimmed_whole_and_the_last_part_is_a_large_one() {
        for gib in [1, 16, 20, 31, 32, 100, 32_768] {
            let (size, mut end) = (gib << 30, 0);
            while end < size {
                let bytes = length(size, end);
                assert!(bytes >= PART.min(size) && bytes < 2 * PART);
                end += bytes;
            }
            assert_eq!(end, size);
        }
    }
}
