//! Which disk belongs to this volume: serials, numbers, sizes and sequence numbers, read from sysfs. udev is not needed.
//!
//! The root folder is configuration: tests and the simulator show a loop device with a serial in a tree of their own, and
//! nothing else differs from a virtio disk in `/sys`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::device::{Device, Mapping};
use super::error::DeviceError;

/// Begins the names of all mappings of this driver.
pub(super) const MAPPING_PREFIX: &str = "eck-";

/// Files below a disk's folder that may hold its serial: virtio-blk; NVMe and some SCSI drivers; SCSI's unit serial number page.
pub const SERIAL_FILES: [&str; 3] = ["serial", "device/serial", "device/vpd_pg80"];

/// Bytes of a SCSI vital product data page before its text (SPC-4, 7.8.1).
const VPD_HEADER: usize = 4;

/// Bytes of one unit of sysfs's `size`, whatever the disk's own blocks are (Documentation/ABI/stable/sysfs-block).
const SECTOR: u64 = 512;

/// A sysfs.
#[derive(Debug, Clone)]
pub struct Sysfs {
    block: PathBuf,
    numbers: PathBuf,
    dev: PathBuf,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> DeviceError + '_ {
    move |source| DeviceError::Io { what: format!("read {}", path.display()), source }
}

impl Sysfs {
    /// `root` holds `sys`; device nodes are in `/dev`, since devtmpfs makes them without udev.
    pub(super) fn new(root: &Path) -> Self {
        let sys = root.join("sys");
        Self { block: sys.join("block"), numbers: sys.join("dev/block"), dev: PathBuf::from("/dev") }
    }

    /// The folder in which disks appear.
    pub(super) fn block(&self) -> &Path {
        &self.block
    }

    /// Every disk that shows one of the serials.
    pub(super) fn devices(&self, serials: &[String]) -> Result<Vec<Device>, DeviceError> {
        let all = self.disks()?.into_iter();
        Ok(all.filter(|disk| serials.contains(&disk.serial)).collect())
    }

    /// Every disk that shows a serial. One that goes away while it is looked at is not there.
    pub(super) fn disks(&self) -> Result<Vec<Device>, DeviceError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.block).map_err(failed(&self.block))? {
            let entry = entry.map_err(failed(&self.block))?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            // The serial first: most of a machine's block devices have none.
            if serial(&entry.path()).is_some()
                && let Some(disk) = self.disk(&entry.path(), name)?
            {
                found.push(disk);
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The disk with this number, `None` if there is none or it shows no serial.
    pub(super) fn by_number(&self, number: (u64, u64)) -> Result<Option<Device>, DeviceError> {
        let link = self.numbers.join(format!("{}:{}", number.0, number.1));
        let folder = match fs::canonicalize(&link) {
            Ok(folder) => folder,
            Err(e) if gone(&e) => return Ok(None),
            Err(e) => return Err(failed(&link)(e)),
        };
        let Some(name) = folder.file_name().and_then(|n| n.to_str()).map(str::to_owned) else {
            return Ok(None);
        };
        let disk = self.disk(&folder, name)?;
        Ok(disk.filter(|disk| (disk.major, disk.minor) == number))
    }

    /// The device as sysfs shows it now, if it is still the same disk.
    pub(super) fn recheck(&self, device: &Device) -> Result<Device, DeviceError> {
        let changed = |what: String| DeviceError::Changed { device: device.name.clone(), what };
        let now = self.by_number((device.major, device.minor))?;
        let now = now.ok_or_else(|| changed("it is gone".to_owned()))?;
        if now.serial != device.serial {
            return Err(changed(format!("its serial was {} and is {}", device.serial, now.serial)));
        }
        if now.diskseq != device.diskseq {
            let text = |seq: Option<u64>| seq.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
            return Err(changed(format!(
                "its diskseq was {} and is {}",
                text(device.diskseq),
                text(now.diskseq)
            )));
        }
        Ok(now)
    }

    /// True if the disk is cut into partitions.
    pub(super) fn partitioned(&self, name: &str) -> bool {
        let entries = fs::read_dir(self.block.join(name)).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.path().join("partition").exists())
    }

    /// The mapping that device mapper knows by this name.
    pub(super) fn mapping(&self, name: &str) -> Result<Option<Mapping>, DeviceError> {
        for entry in fs::read_dir(&self.block).map_err(failed(&self.block))? {
            let entry = entry.map_err(failed(&self.block))?;
            let folder = entry.path();
            if text(&folder.join("dm/name")).as_deref() != Some(name) {
                continue;
            }
            let Some(kernel) = entry.file_name().to_str().map(str::to_owned) else { continue };
            if let Some(device) = self.disk(&folder, kernel)? {
                return Ok(Some(Mapping {
                    name: name.to_owned(),
                    device,
                    disks: names(&folder.join("slaves")),
                }));
            }
        }
        Ok(None)
    }

    /// Whether a mapping of this driver lies on the disk.
    pub(super) fn encrypted(&self, name: &str) -> bool {
        let holders = self.block.join(name).join("holders");
        let ours = |holder: &String| {
            text(&self.block.join(holder).join("dm/name"))
                .is_some_and(|name| name.starts_with(MAPPING_PREFIX))
        };
        names(&holders).iter().any(ours)
    }

    fn disk(&self, folder: &Path, name: String) -> Result<Option<Device>, DeviceError> {
        let Some(serial) = serial(folder).or_else(|| text(&folder.join("dm/uuid"))) else { return Ok(None) };
        let read = |file: &str| -> Result<Option<String>, DeviceError> {
            let path = folder.join(file);
            match fs::read_to_string(&path) {
                Ok(text) => Ok(Some(text.trim().to_owned())),
                Err(e) if gone(&e) => Ok(None),
                Err(e) => Err(failed(&path)(e)),
            }
        };
        let (Some(dev), Some(size)) = (read("dev")?, read("size")?) else { return Ok(None) };
        let Some((major, minor, size_bytes)) = numbers(&dev, &size) else { return Ok(None) };
        Ok(Some(Device {
            path: self.dev.join(&name),
            major,
            minor,
            diskseq: read("diskseq")?.and_then(|text| text.parse().ok()),
            serial,
            size_bytes,
            read_only: read("ro")?.as_deref() == Some("1"),
            name,
        }))
    }
}

fn gone(error: &io::Error) -> bool {
    // ENODEV and ENXIO: the file is still open-able while the device under it is being removed.
    matches!(error.kind(), io::ErrorKind::NotFound)
        || matches!(error.raw_os_error(), Some(n) if n == nix::libc::ENODEV || n == nix::libc::ENXIO)
}

/// What the file holds, without white space around it; `None` if nothing.
fn text(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Names of the folder's entries, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The serial of the disk in `folder`, if it shows one.
fn serial(folder: &Path) -> Option<String> {
    SERIAL_FILES.iter().find_map(|file| {
        let bytes = fs::read(folder.join(file)).ok()?;
        serial_in(file, &bytes)
    })
}

/// The serial that a file of [`SERIAL_FILES`] holds, if it holds one.
pub fn serial_in(file: &str, bytes: &[u8]) -> Option<String> {
    let text = if file.ends_with("pg80") { bytes.get(VPD_HEADER..)? } else { bytes };
    let text = String::from_utf8_lossy(text).trim_matches(['\0', ' ', '\n', '\t']).to_owned();
    (!text.is_empty()).then_some(text)
}

/// Device number and size in bytes, out of the files `dev` and `size`. A size that no number of bytes can tell is none.
pub fn numbers(dev: &str, size: &str) -> Option<(u64, u64, u64)> {
    let (major, minor) = dev.split_once(':')?;
    let sectors: u64 = size.parse().ok()?;
    Some((major.parse().ok()?, minor.parse().ok()?, sectors.checked_mul(SECTOR)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(root: &Path, name: &str, number: &str, serial_file: &str, serial: &[u8]) {
        let folder = root.join("sys/block").join(name);
        fs::create_dir_all(folder.join("device")).unwrap();
        fs::create_dir_all(root.join("sys/dev/block")).unwrap();
        let files = [("dev", number), ("size", "41943040"), ("diskseq", "7"), ("ro", "0")];
        files.iter().for_each(|(file, text)| fs::write(folder.join(file), format!("{text}\n")).unwrap());
        fs::write(folder.join(serial_file), serial).unwrap();
        let link = root.join("sys/dev/block").join(number);
        std::os::unix::fs::symlink(Path::new("../../block").join(name), link).unwrap();
    }

    #[test]
    fn a_mapping_is_found_by_name_and_is_no_disk() {
        let root = tempfile::tempdir().unwrap();
        disk(root.path(), "vdb", "253:16", "serial", b"cfebko79upsq2iuo7lkg");
        fs::create_dir_all(root.path().join("sys/block/dm-0/dm")).unwrap();
        disk(
            root.path(),
            "dm-0",
            "252:0",
            "dm/uuid",
            b"CRYPT-LUKS2-beae35d6b83d8856a20d29afa4e35c5c-eck-cd-a\n",
        );
        let mapping = root.path().join("sys/block/dm-0");
        fs::write(mapping.join("dm/name"), "eck-cd-a\n").unwrap();
        let sysfs = Sysfs::new(root.path());
        let found = sysfs.mapping("eck-cd-a").unwrap().unwrap();
        assert_eq!((found.device.name.as_str(), found.device.path.to_str()), ("dm-0", Some("/dev/dm-0")));
        assert!(found.disks.is_empty(), "its disk is gone");
        assert!(sysfs.mapping("eck-cd-b").unwrap().is_none() && !sysfs.encrypted("vdb"));
        fs::create_dir_all(mapping.join("slaves/vdb")).unwrap();
        fs::create_dir_all(root.path().join("sys/block/vdb/holders/dm-0")).unwrap();
        let found = sysfs.mapping("eck-cd-a").unwrap().unwrap();
        assert!(sysfs.encrypted("vdb") && found.lies_on(&sysfs.disks().unwrap()[0]));
        assert_eq!(sysfs.by_number((252, 0)).unwrap().unwrap(), found.device);
        assert_eq!(sysfs.disks().unwrap().len(), 1, "a mapping has no serial and takes no slot");
    }

    #[test]
    fn a_size_beyond_all_numbers_is_no_size() {
        assert_eq!(numbers("253:16", "41943040"), Some((253, 16, 20 << 30)));
        assert_eq!(numbers("253:16", &u64::MAX.to_string()), None);
    }

    #[test]
    fn virtio_nvme_and_scsi_serials_are_found() {
        let root = tempfile::tempdir().unwrap();
        disk(root.path(), "vdb", "253:16", "serial", b"cfebko79upsq2iuo7lkg");
        disk(root.path(), "nvme0n1", "259:0", "device/serial", b"cd-abc              \n");
        disk(root.path(), "sdb", "8:16", "device/vpd_pg80", b"\0\x80\0\x06cd-xyz");
        disk(root.path(), "sr0", "11:0", "dev", b"11:0");
        let sysfs = Sysfs::new(root.path());
        let names = |serials: &[&str]| {
            let serials: Vec<String> = serials.iter().map(|s| (*s).to_owned()).collect();
            sysfs.devices(&serials).unwrap().into_iter().map(|d| d.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&["cfebko79upsq2iuo7lkg"]), ["vdb"]);
        assert_eq!(names(&["cd-abc", "cd-xyz"]), ["nvme0n1", "sdb"]);
        assert!(names(&["cfebko79upsq2iuo7lk"]).is_empty(), "no part of a serial is a serial");
        let found = sysfs.by_number((253, 16)).unwrap().unwrap();
        assert_eq!((found.size_bytes, found.diskseq, found.read_only), (20 << 30, Some(7), false));
        assert!(sysfs.by_number((1, 1)).unwrap().is_none());
    }
}
