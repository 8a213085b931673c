//! `/proc/self/mountinfo`: any bytes, read as the kernel's table of mounts.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use eck_csi_node::host::MountTable;
use eck_csi_node::host::mountinfo::Mount;

pub(crate) fn run(bytes: &[u8]) {
    let table = MountTable::parse(bytes);
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let each: Vec<Mount> =
        lines.iter().flat_map(|line| MountTable::parse(line).iter().cloned().collect::<Vec<_>>()).collect();
    assert!(table.iter().eq(&each), "a line means the same whatever stands around it");
    let written: Vec<u8> = table.iter().flat_map(written).collect();
    assert_eq!(MountTable::parse(&written), table, "what the kernel would write of it is read as it was");
    for mount in table.iter() {
        let seen = table.at(&mount.target);
        let last = table.iter().filter(|other| other.target == mount.target).last();
        assert_eq!(seen, last, "the topmost one is seen");
        assert!(table.mount_count(&mount.target) > 0);
        assert!(table.of_device(mount.device).any(|other| other == mount));
    }
}

/// A mount as the kernel writes it: seq_file escapes blank, tab, newline and backslash in octal.
fn written(mount: &Mount) -> Vec<u8> {
    let escaped = |path: &Path| {
        path.as_os_str().as_bytes().iter().fold(Vec::new(), |mut out, byte| {
            match byte {
                b' ' | b'\t' | b'\n' | b'\\' => {
                    let mut octal = String::new();
                    let _ = write!(octal, "\\{byte:03o}");
                    out.extend_from_slice(octal.as_bytes());
                }
                plain => out.push(*plain),
            }
            out
        })
    };
    let (major, minor) = mount.device;
    // What the kernel has stopped says so among the file system's own options.
    let (mode, system) = match (mount.stopped, mount.read_only) {
        (true, _) => ("rw", "rw,emergency_ro"),
        (false, true) => ("ro", "rw"),
        (false, false) => ("rw", "rw"),
    };
    let start = format!("36 35 {major}:{minor} ").into_bytes();
    let end = format!(" {mode} - {} none {system}\n", mount.fs).into_bytes();
    [start, escaped(&mount.root), b" ".to_vec(), escaped(&mount.target), end].concat()
}
