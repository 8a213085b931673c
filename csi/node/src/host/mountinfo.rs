//! The mount table, from `/proc/self/mountinfo` (proc(5)). By hand, since the crate procfs does not undo the kernel's escapes of blanks
//! in paths (eminence/procfs#262).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Device number of what is mounted.
    pub device: (u64, u64),
    /// Which part of it; `/` for the whole file system.
    pub root: PathBuf,
    /// Where.
    pub target: PathBuf,
    /// True if this mount, or its file system, takes no writes.
    pub read_only: bool,
    /// True if the kernel itself has stopped the file system after an error: nobody asked for a read-only mount.
    pub stopped: bool,
    /// The kernel's name of the file system.
    pub fs: String,
}

/// All mounts, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountTable(Vec<Mount>);

impl MountTable {
    /// Parses the file's bytes. A line of another form is left out: the kernel only ever adds fields.
    pub fn parse(bytes: &[u8]) -> Self {
        Self(bytes.split(|b| *b == b'\n').filter_map(line).collect())
    }

    /// The mount that is seen at `target`: the topmost one.
    pub fn at(&self, target: &Path) -> Option<&Mount> {
        self.0.iter().rev().find(|mount| mount.target == target)
    }

    /// How many mounts are stacked on `target`.
    pub fn mount_count(&self, target: &Path) -> usize {
        self.0.iter().filter(|mount| mount.target == target).count()
    }

    /// Every mount of the device's file system.
    pub fn of_device(&self, device: (u64, u64)) -> impl Iterator<Item = &Mount> {
        self.0.iter().filter(move |mount| mount.device == device)
    }

    /// Every mount.
    pub fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.0.iter()
    }
}

/// What ext4 shows among its options instead of `ro` after an error, since Linux 6.15 (fs/ext4/super.c, _ext4_show_options).
const STOPPED: [&[u8]; 2] = [b"emergency_ro", b"shutdown"];

/// `36 35 98:0 /root /target rw,noatime master:1 - ext4 /dev/x rw`: optional fields end at the lone `-`.
fn line(bytes: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = bytes.split(|b| *b == b' ').collect();
    let dash = fields.iter().skip(6).position(|field| *field == b"-")? + 6;
    let number = std::str::from_utf8(fields.get(2)?).ok()?;
    let (major, minor) = number.split_once(':')?;
    let (own, systems) = (fields.get(5)?, fields.get(dash + 3)?);
    let has = |options: &[u8], word: &[u8]| options.split(|b| *b == b',').any(|option| option == word);
    let stopped = STOPPED.iter().any(|word| has(systems, word));
    Some(Mount {
        device: (major.parse().ok()?, minor.parse().ok()?),
        root: path(fields.get(3)?),
        target: path(fields.get(4)?),
        read_only: has(own, b"ro") || has(systems, b"ro") || stopped,
        // Whoever asks for a read-only mount makes both of them so, or only the mount.
        stopped: stopped || has(systems, b"ro") && !has(own, b"ro"),
        fs: String::from_utf8_lossy(fields.get(dash + 1)?).into_owned(),
    })
}

/// Undoes the kernel's octal escapes of blank, tab, newline and backslash.
fn path(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..3).filter(|d| *first == b'\\' && d.iter().all(|b| (b'0'..=b'7').contains(b)));
        match digits {
            Some(d) => {
                bytes.push(d.iter().fold(0u8, |value, b| value.wrapping_mul(8).wrapping_add(b - b'0')));
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_the_kernel_stopped_is_told_from_one_that_was_asked_to_be_read_only() {
        let stopped = |own: &str, systems: &str| {
            let line = format!("40 22 7:3 / /a {own} - ext4 /dev/loop3 {systems}\n");
            let mount = MountTable::parse(line.as_bytes()).at(Path::new("/a")).cloned().unwrap();
            assert!(mount.read_only || !mount.stopped);
            mount.stopped
        };
        assert!(stopped("rw,relatime", "ro,errors=remount-ro"));
        assert!(stopped("rw,relatime", "rw,errors=remount-ro,emergency_ro"));
        assert!(stopped("rw,relatime", "rw,shutdown"));
        assert!(!stopped("ro,relatime", "ro") && !stopped("ro,relatime", "rw") && !stopped("rw", "rw"));
    }

    const TABLE: &[u8] = b"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
        40 22 7:3 / /var/lib/kubelet/a\\040b\\134c rw,noatime - xfs /dev/loop3 rw,attr2\n\
        41 22 7:3 / /pod/\xe7\x9b\x98 ro,noatime master:3 propagate_from:2 - xfs /dev/loop3 rw\n\
        42 22 7:4 /sub /top rw - ext4 /dev/loop4 ro\n\
        43 22 7:5 / /top rw - ext3 /dev/loop5 rw\n\
        not a line\n";

    #[test]
    fn escapes_optional_fields_and_stacks_are_read() {
        let table = MountTable::parse(TABLE);
        assert_eq!(table.iter().count(), 5);
        let staged = table.at(Path::new("/var/lib/kubelet/a b\\c")).unwrap();
        assert_eq!((staged.device, staged.fs.as_str(), staged.read_only), ((7, 3), "xfs", false));
        assert!(table.at(Path::new("/pod/盘")).unwrap().read_only);
        assert_eq!(table.at(Path::new("/top")).unwrap().fs, "ext3");
        assert_eq!(table.mount_count(Path::new("/top")), 2);
        assert!(table.of_device((7, 4)).next().unwrap().read_only);
        assert_eq!(table.of_device((7, 3)).count(), 2);
        assert!(table.at(Path::new("/var")).is_none());
    }
}
