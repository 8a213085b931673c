//! The data plane: what makes a disk real. A disk is a sparse file, an attach a loop device on the "node" and an entry in
//! that node's sysfs-like tree; a node finds it there by the same code as a virtio disk in `/sys`. Or the node is a virtual
//! machine, and the disk is plugged into it.

use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub mod guest;
pub mod qmp;
pub mod sysfs;

use guest::Guests;

/// `O_EXCL` of Linux on every architecture we run on (asm-generic/fcntl.h): on a block device it asks for exclusive use.
const O_EXCL: i32 = 0o200;

/// How long others may keep a device open that nobody uses: those that look at it close it within milliseconds.
const LAST_CLOSE: Duration = Duration::from_secs(5);

/// Why the data plane could not do something.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// The guest holds the disk: mounted or opened exclusively.
    #[error("the disk is in use in the guest")]
    Busy,
    /// A system call failed.
    #[error("{0}")]
    Io(String, #[source] io::Error),
    /// `losetup` failed.
    #[error("losetup: {0}")]
    Losetup(String),
}

/// A data plane over loop devices, or over virtual machines.
#[derive(Debug)]
pub struct Plane {
    disks: PathBuf,
    nodes: PathBuf,
    unit: u64,
    guests: Option<Guests>,
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> PlaneError {
    let what = what.into();
    move |e| PlaneError::Io(what, e)
}

impl Plane {
    /// Disks live in `disks`, the nodes' trees in `nodes`; `unit` bytes make a "GiB".
    pub fn new(disks: PathBuf, nodes: PathBuf, unit: u64) -> Result<Self, PlaneError> {
        std::fs::create_dir_all(&disks).map_err(io_error("disks folder"))?;
        std::fs::create_dir_all(&nodes).map_err(io_error("nodes folder"))?;
        let disks = disks.canonicalize().map_err(io_error("disks folder"))?;
        Ok(Self { disks, nodes, unit, guests: None })
    }

    /// The same, but the nodes are virtual machines: `nodes` has a folder of each with QEMU's socket.
    pub fn of_guests(disks: PathBuf, nodes: PathBuf, unit: u64) -> Result<Self, PlaneError> {
        let plane = Self::new(disks, nodes, unit)?;
        let guests = Some(Guests::new(plane.nodes.clone()));
        Ok(Self { guests, ..plane })
    }

    /// Makes an instance's empty tree, so that a node can start before its first disk.
    pub fn boot(&self, instance: &str) -> Result<(), PlaneError> {
        if self.guests.is_some() {
            return std::fs::create_dir_all(self.nodes.join(instance)).map_err(io_error("machine's folder"));
        }
        sysfs::boot(&self.nodes.join(instance)).map_err(io_error("sysfs tree"))
    }

    /// Where a disk's bytes are.
    pub fn file(&self, disk: &str) -> PathBuf {
        self.disks.join(disk)
    }

    /// Makes the sparse file.
    pub fn create(&self, disk: &str, gib: u64) -> Result<(), PlaneError> {
        let path = self.file(disk);
        let file = std::fs::File::create(&path).map_err(io_error("disk file"))?;
        file.set_len(gib * self.unit).map_err(io_error("disk file"))
    }

    /// Keeps a disk's content as it is now under a snapshot's name.
    pub fn snapshot(&self, disk: &str, snapshot: &str) -> Result<(), PlaneError> {
        copy(&self.file(disk), &self.file(snapshot))
    }

    /// Makes a disk with a snapshot's content.
    pub fn restore(&self, snapshot: &str, disk: &str, gib: u64) -> Result<(), PlaneError> {
        copy(&self.file(snapshot), &self.file(disk))?;
        let file =
            std::fs::File::options().write(true).open(self.file(disk)).map_err(io_error("disk file"))?;
        file.set_len(gib * self.unit).map_err(io_error("disk file"))
    }

    /// Removes the file.
    pub fn delete(&self, disk: &str) -> Result<(), PlaneError> {
        match std::fs::remove_file(self.file(disk)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(PlaneError::Io("disk file".to_owned(), e)),
            _ => Ok(()),
        }
    }

    /// Grows the file and tells the loop device, as a hypervisor tells the guest.
    pub fn resize(&self, disk: &str, gib: u64) -> Result<(), PlaneError> {
        let path = self.file(disk);
        let file = std::fs::File::options().write(true).open(&path).map_err(io_error("disk file"))?;
        file.set_len(gib * self.unit).map_err(io_error("disk file"))?;
        if let Some(guests) = &self.guests {
            return guests.grown(disk, gib * self.unit).map_err(io_error("QEMU"));
        }
        match self.device(disk)? {
            Some(device) => losetup(&["--set-capacity", &device]).map(drop),
            None => Ok(()),
        }
    }

    /// Sets up a loop device and shows it to `instance` with `serial`; an attach that happened already is success.
    pub fn attach(&self, disk: &str, instance: &str, serial: &str) -> Result<(), PlaneError> {
        if let Some(guests) = &self.guests {
            return guests.plug(disk, instance, &self.file(disk), serial).map_err(io_error("QEMU"));
        }
        let device = match self.device(disk)? {
            Some(device) => device,
            None => {
                let path = self.file(disk);
                losetup(&["--find", "--show", &path.to_string_lossy()])?.trim().to_owned()
            }
        };
        let name = device.trim_start_matches("/dev/");
        sysfs::plug(&self.nodes.join(instance), name, serial).map_err(io_error("sysfs entry"))
    }

    /// Takes the disk from `instance`; [`PlaneError::Busy`] while the guest uses it. Not attached is success.
    pub fn detach(&self, disk: &str, instance: &str, force: bool) -> Result<(), PlaneError> {
        if let Some(guests) = &self.guests {
            let gone = guests.unplug(disk, instance).map_err(io_error("QEMU"))?;
            return if gone { Ok(()) } else { Err(PlaneError::Busy) };
        }
        let Some(device) = self.device(disk)? else { return Ok(()) };
        if !force {
            let exclusive = std::fs::File::options().read(true).custom_flags(O_EXCL).open(&device);
            match exclusive {
                Ok(file) => {
                    // Also proves that the device still answers.
                    let _ = file.read_at(&mut [0; 512], 0);
                }
                Err(e) if e.kind() == io::ErrorKind::ResourceBusy => return Err(PlaneError::Busy),
                Err(e) => return Err(PlaneError::Io(device, e)),
            }
        }
        let name = device.trim_start_matches("/dev/");
        sysfs::unplug(&self.nodes.join(instance), name).map_err(io_error("sysfs entry"))?;
        losetup(&["--detach", &device])?;
        self.until_closed(|| Ok(self.device(disk)?.is_none()))
    }

    /// The loop device over a disk's file, if any.
    pub fn device(&self, disk: &str) -> Result<Option<String>, PlaneError> {
        let path = self.file(disk);
        if !path.exists() {
            return Ok(None);
        }
        let listed = losetup(&["--noheadings", "--output", "NAME", "--associated", &path.to_string_lossy()])?;
        Ok(listed.lines().next().map(|line| line.trim().to_owned()))
    }

    /// Detaches every loop device over our files, whoever set it up, and waits until there is none.
    pub fn clean(&self) -> Result<(), PlaneError> {
        for device in self.devices()? {
            losetup(&["--detach", &device])?;
        }
        self.until_closed(|| Ok(self.devices()?.is_empty()))
    }

    /// The loop devices over our files.
    fn devices(&self) -> Result<Vec<String>, PlaneError> {
        let listed = losetup(&["--noheadings", "--raw", "--output", "NAME,BACK-FILE", "--list"])?;
        let ours = |line: &str| {
            let (device, file) = line.split_once(' ')?;
            let file = Path::new(file.trim_end_matches(" (deleted)"));
            file.starts_with(&self.disks).then(|| device.to_owned())
        };
        Ok(listed.lines().filter_map(ours).collect())
    }

    /// Waits for what is so when a loop device is closed for the last time: while anyone has the device open, a passing `losetup` of
    /// another program being enough, the kernel puts the detach off until it is closed.
    fn until_closed(&self, closed: impl Fn() -> Result<bool, PlaneError>) -> Result<(), PlaneError> {
        let until = Instant::now() + LAST_CLOSE;
        while !closed()? {
            if Instant::now() >= until {
                return Err(PlaneError::Busy);
            }
            // Nothing tells of a close.
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// Copies a file and keeps its holes, which a disk mostly consists of.
fn copy(from: &Path, to: &Path) -> Result<(), PlaneError> {
    let output =
        Command::new("cp").args(["--sparse=always", "--reflink=auto", "--"]).arg(from).arg(to).output();
    let output = output.map_err(io_error("cp"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(PlaneError::Io("cp".to_owned(), io::Error::other(said)))
}

fn losetup(args: &[&str]) -> Result<String, PlaneError> {
    let output = Command::new("losetup").args(args).output().map_err(io_error("losetup"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(PlaneError::Losetup(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_disk_is_detached_when_the_last_that_looks_at_it_has_closed_it() {
        let folder = tempfile::tempdir().unwrap();
        let plane = Plane::new(folder.path().join("disks"), folder.path().join("nodes"), 1 << 20).unwrap();
        plane.create("cd-1", 1).unwrap();
        plane.attach("cd-1", "ins-1", "1").unwrap();
        let looks = std::fs::File::open(plane.device("cd-1").unwrap().unwrap()).unwrap();
        let (tell, told) = channel();
        std::thread::scope(|scope| {
            scope.spawn(|| tell.send(plane.detach("cd-1", "ins-1", false)).unwrap());
            assert!(
                told.recv_timeout(Duration::from_millis(300)).is_err(),
                "it is open, and told as detached"
            );
            drop(looks);
            told.recv().unwrap().unwrap();
        });
        assert_eq!(plane.device("cd-1").unwrap(), None);
    }
}
