//! Which volumes are trimmed, and when the next time is.
//!
//! This must outlive a restart of this program, since the kubelet stages nothing again for it: each volume has an empty file in
//! the state folder, named as its disk, whose time is that of the last trim, or of its staging.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use eck_csi::volume::DiskId;

/// As util-linux' fstrim.timer: more often costs the disk more than it frees (fstrim(8)).
const PERIOD: Duration = Duration::from_secs(7 * 24 * 3600);

/// The volumes that are trimmed. Clones share the folder.
#[derive(Debug, Clone)]
pub(crate) struct TrimSchedule {
    folder: PathBuf,
}

impl TrimSchedule {
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

/// A state folder that fails costs a trim; no pod waits for it.
pub(crate) fn warn_of_schedule(outcome: io::Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(error = %error, "The state folder cannot be used: volumes are not trimmed as their class wants.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_due_a_week_after_it_was_staged_or_trimmed_and_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let trims = || TrimSchedule::new(folder.path().join("trim"));
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
}
