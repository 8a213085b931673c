//! The run's own folder, and how nothing of it stays: mounts, then devices, then files. The programs have ended before.

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use sanity_tests::rig::{Error, io};

use crate::system::run;

/// A folder in which everything of this run is.
pub(crate) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// Makes it.
    pub(crate) fn make() -> Result<Self, Error> {
        // Not the user's TMPDIR: its path may be too long for a socket.
        let folder = tempfile::Builder::new().prefix("eck-bench.").tempdir_in("/tmp");
        Ok(Self { folder: folder.map_err(io("a folder in /tmp"))?.keep() })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes everything down, newest mount first; an error if something stays.
    pub(crate) fn clear(self) -> Result<(), Error> {
        for target in self.mounts()?.iter().rev() {
            let done = umount2(target, MntFlags::UMOUNT_NOFOLLOW);
            done.map_err(|errno| io(format!("umount {}", target.display()))(errno.into()))?;
        }
        let listed = run("losetup", &["--noheadings", "--raw", "--output", "NAME,BACK-FILE", "--list"])?;
        for line in String::from_utf8_lossy(&listed.stdout).lines() {
            let Some((device, file)) = line.split_once(' ') else { continue };
            if Path::new(file).starts_with(&self.folder) {
                run("losetup", &["--detach", device])?;
            }
        }
        // One file system only: were something mounted here after all, its files would not be touched.
        run("rm", &["--recursive", "--force", "--one-file-system", "--", &self.folder.to_string_lossy()])?;
        Ok(())
    }

    /// What is mounted in the folder, oldest first.
    fn mounts(&self) -> Result<Vec<PathBuf>, Error> {
        let table = std::fs::read_to_string("/proc/self/mounts").map_err(io("/proc/self/mounts"))?;
        let targets = table.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
        Ok(targets.filter(|target| target.starts_with(&self.folder)).collect())
    }
}
