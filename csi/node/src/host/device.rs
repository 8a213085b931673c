//! Block devices, by what identifies them.

use std::path::PathBuf;

/// A block device whose identity was read from sysfs through the major:minor of the opened device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The kernel's name, e.g. `vdb`.
    pub name: String,
    /// Where it is opened, e.g. `/dev/vdb`.
    pub path: PathBuf,
    /// Device number.
    pub major: u64,
    /// Device number.
    pub minor: u64,
    /// The kernel's sequence number of this disk; another disk under the same name has another one. `None` before Linux 5.15.
    pub diskseq: Option<u64>,
    /// The serial that sysfs shows; of a mapping, the UUID that device mapper has for it.
    pub serial: String,
    /// Size in bytes as the kernel sees it.
    pub size_bytes: u64,
    /// True if the kernel refuses writes.
    pub read_only: bool,
}

/// An encrypted disk that is open: what device mapper made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Device mapper's name for it.
    pub name: String,
    /// The device that shows the content.
    pub device: Device,
    /// Kernel names of what it lies on; none when the disk is gone.
    pub disks: Vec<String>,
}

impl Mapping {
    /// Whether it lies on this disk, and on no other.
    pub fn lies_on(&self, disk: &Device) -> bool {
        self.disks == [disk.name.as_str()]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Device;

    /// A disk, for tests of what is decided about one.
    pub(crate) fn device() -> Device {
        Device {
            name: "vdb".into(),
            path: "/dev/vdb".into(),
            major: 253,
            minor: 16,
            diskseq: Some(7),
            serial: "cfebko79upsq2iuo7lkg".into(),
            size_bytes: 20 << 30,
            read_only: false,
        }
    }
}
