//! Mounting and unmounting, and the directories and files that are mounted on. The only user of sys-mount.
//!
//! Nothing here deletes more than one empty directory or one empty file, and nothing follows a symlink.

use std::io;
use std::path::Path;

use eck_csi::volume::FsType;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use sys_mount::{Mount, MountFlags};

use super::device::Device;
use super::error::MountError;
use super::mountinfo::MountTable;
use super::path::{FileKind, file_kind, open_at, parent};

/// `MS_LAZYTIME` of Linux (include/uapi/linux/mount.h), which sys-mount does not name.
const LAZYTIME: u64 = 1 << 25;

/// Options that are flags of mount(2), with their opposites (mount(8), "FILESYSTEM-INDEPENDENT MOUNT OPTIONS").
const FLAGS: [(&str, MountFlags, bool); 21] = [
    ("ro", MountFlags::RDONLY, true),
    ("rw", MountFlags::RDONLY, false),
    ("noatime", MountFlags::NOATIME, true),
    ("atime", MountFlags::NOATIME, false),
    ("nodiratime", MountFlags::NODIRATIME, true),
    ("diratime", MountFlags::NODIRATIME, false),
    ("relatime", MountFlags::RELATIME, true),
    ("norelatime", MountFlags::RELATIME, false),
    ("strictatime", MountFlags::STRICTATIME, true),
    ("nostrictatime", MountFlags::STRICTATIME, false),
    ("nosuid", MountFlags::NOSUID, true),
    ("suid", MountFlags::NOSUID, false),
    ("nodev", MountFlags::NODEV, true),
    ("dev", MountFlags::NODEV, false),
    ("noexec", MountFlags::NOEXEC, true),
    ("exec", MountFlags::NOEXEC, false),
    ("sync", MountFlags::SYNCHRONOUS, true),
    ("async", MountFlags::SYNCHRONOUS, false),
    ("dirsync", MountFlags::DIRSYNC, true),
    ("mand", MountFlags::MANDLOCK, true),
    ("nomand", MountFlags::MANDLOCK, false),
];

/// Flags that a bind mount has for itself; the rest belongs to the file system.
const PER_MOUNT: MountFlags = MountFlags::RDONLY
    .union(MountFlags::NOATIME)
    .union(MountFlags::NODIRATIME)
    .union(MountFlags::RELATIME)
    .union(MountFlags::NOSUID)
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

/// The flags of mount(2), and the text for the file system itself.
fn split_options(options: &[String], read_only: bool) -> (MountFlags, String) {
    let mut flags = MountFlags::empty();
    let mut data = Vec::new();
    for option in options {
        match FLAGS.iter().find(|(name, ..)| name == option) {
            Some((_, flag, true)) => flags.insert(*flag),
            Some((_, flag, false)) => flags.remove(*flag),
            None if option == "defaults" => {}
            None if option == "lazytime" => flags.insert(MountFlags::from_bits_retain(LAZYTIME)),
            None => data.push(option.as_str()),
        }
    }
    if read_only {
        flags.insert(MountFlags::RDONLY);
    }
    (flags, data.join(","))
}

fn io_error(what: String, source: impl Into<io::Error>) -> MountError {
    MountError::Io { what, source: source.into() }
}

/// This process' mount table.
pub(super) fn table() -> Result<MountTable, MountError> {
    const TABLE: &str = "/proc/self/mountinfo";
    let bytes = std::fs::read(TABLE).map_err(|e| io_error(format!("read {TABLE}"), e))?;
    Ok(MountTable::parse(&bytes))
}

pub(super) fn mount(
    device: &Device,
    fs: FsType,
    target: &Path,
    options: &[String],
    read_only: bool,
) -> Result<(), MountError> {
    let handle = open_at(target)?;
    let (flags, data) = split_options(options, read_only);
    let builder = Mount::builder().fstype(fs.as_str()).flags(flags).data(&data);
    let Err(source) = builder.mount(&device.path, handle.path()) else { return Ok(()) };
    let name = device.name.clone();
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENODEV) => Err(MountError::NoFileSystem { fs }),
        Some(Errno::EINVAL) if !data.is_empty() => {
            Err(MountError::Options { device: name, options: options.join(","), source })
        }
        _ => Err(io_error(format!("mount {name} ({fs}) on {}", target.display()), source)),
    }
}

/// Whether the kernel knows the file system. It says so (`ENODEV`), after it has looked for a module, before it looks at the
/// source; the source here can never be mounted.
pub(super) fn supports(fs: FsType) -> bool {
    let tried = Mount::builder().fstype(fs.as_str()).mount("/dev/null", "/");
    !tried.is_err_and(|e| e.raw_os_error() == Some(Errno::ENODEV as i32))
}

pub(super) fn bind(
    source: &Path,
    target: &Path,
    options: &[String],
    read_only: bool,
) -> Result<(), MountError> {
    let from = open_at(source)?;
    let handle = open_at(target)?;
    let what = || format!("bind {} on {}", source.display(), target.display());
    let bound = Mount::builder().fstype("none").flags(MountFlags::BIND).mount(from.path(), handle.path());
    bound.map_err(|e| io_error(what(), e))?;
    drop(handle);
    let (flags, _) = split_options(options, read_only);
    let flags = flags & PER_MOUNT;
    if flags.is_empty() {
        return Ok(());
    }
    // What the staged mount forbids stays forbidden: a remount sets all of a mount's own flags anew.
    let flags = flags | inherited_flags(source)?;
    let remounted = open_at(target).and_then(|top| {
        let flags = MountFlags::BIND | MountFlags::REMOUNT | flags;
        let done = Mount::builder().fstype("none").flags(flags).mount("none", top.path());
        done.map(drop).map_err(|e| io_error(format!("remount {}", target.display()), e))
    });
    // A mount that can be written to where a read-only one was asked for must not stay.
    remounted.or_else(|error| unmount(target).and(Err(error)))
}

/// The flags of the mount at `path` that forbid something.
fn inherited_flags(path: &Path) -> Result<MountFlags, MountError> {
    use nix::sys::statvfs::{FsFlags, statvfs};
    let stats = statvfs(path).map_err(|e| io_error(format!("statvfs {}", path.display()), e))?;
    let pairs = [
        (FsFlags::ST_RDONLY, MountFlags::RDONLY),
        (FsFlags::ST_NOSUID, MountFlags::NOSUID),
        (FsFlags::ST_NODEV, MountFlags::NODEV),
        (FsFlags::ST_NOEXEC, MountFlags::NOEXEC),
        (FsFlags::ST_NOATIME, MountFlags::NOATIME),
        (FsFlags::ST_NODIRATIME, MountFlags::NODIRATIME),
        (FsFlags::ST_RELATIME, MountFlags::RELATIME),
    ];
    Ok(pairs.into_iter().filter(|(st, _)| stats.flags().contains(*st)).map(|(_, flag)| flag).collect())
}

/// Unmounts everything that is stacked on `target`.
pub(super) fn unmount(target: &Path) -> Result<(), MountError> {
    for _ in 0..table()?.mount_count(target) {
        let Some((handle, name)) = parent(target)? else { return Ok(()) };
        let path = handle.path().join(&name);
        match umount2(&path, MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {}
            // Somebody else was quicker.
            Err(Errno::EINVAL | Errno::ENOENT) => break,
            Err(Errno::EBUSY) => return Err(MountError::Busy { path: target.to_owned() }),
            Err(errno) => return Err(io_error(format!("umount {}", target.display()), errno)),
        }
    }
    if table()?.mount_count(target) == 0 {
        return Ok(());
    }
    Err(MountError::Busy { path: target.to_owned() })
}

pub(super) fn make_target(target: &Path, block: bool) -> Result<(), MountError> {
    let missing = || io_error(format!("the folder above {}", target.display()), Errno::ENOENT);
    let (handle, name) = parent(target)?.ok_or_else(missing)?;
    let occupied = |what: &str| MountError::Occupied { path: target.to_owned(), what: what.to_owned() };
    match (file_kind(&handle, &name, target)?, block) {
        (FileKind::Directory, false) | (FileKind::File(0), true) | (FileKind::Block(..), true) => Ok(()),
        (FileKind::Symlink, _) => Err(MountError::Path { path: target.to_owned(), why: "it is a symlink" }),
        (FileKind::Nothing, false) => {
            let made = mkdirat(&handle, name.as_os_str(), Mode::from_bits_truncate(0o750));
            made.map_err(|e| io_error(format!("make {}", target.display()), e))
        }
        (FileKind::Nothing, true) => {
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let made = openat(&handle, name.as_os_str(), flags, Mode::from_bits_truncate(0o600));
            made.map(drop).map_err(|e| io_error(format!("make {}", target.display()), e))
        }
        (FileKind::Directory, true) => Err(occupied("a directory, and a block volume needs a file")),
        (FileKind::File(_), true) => Err(occupied("a file with data in it")),
        (FileKind::File(_) | FileKind::Block(..), false) => {
            Err(occupied("a file, and a file system needs a directory"))
        }
        (FileKind::Other, _) => Err(occupied("neither a file nor a directory")),
    }
}

pub(super) fn remove_target(target: &Path) -> Result<(), MountError> {
    let Some((handle, name)) = parent(target)? else { return Ok(()) };
    let occupied = |what: &str| MountError::Occupied { path: target.to_owned(), what: what.to_owned() };
    let flag = match file_kind(&handle, &name, target)? {
        FileKind::Nothing => return Ok(()),
        FileKind::Directory => UnlinkatFlags::RemoveDir,
        FileKind::File(0) => UnlinkatFlags::NoRemoveDir,
        FileKind::File(_) => return Err(occupied("a file with data in it; it is not removed")),
        FileKind::Symlink => {
            return Err(MountError::Path { path: target.to_owned(), why: "it is a symlink" });
        }
        FileKind::Block(..) | FileKind::Other => {
            return Err(occupied("not a file or directory of this driver"));
        }
    };
    match unlinkat(&handle, name.as_os_str(), flag) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => {
            Err(occupied("a directory with data in it; it is not removed"))
        }
        Err(Errno::EBUSY) => Err(MountError::Busy { path: target.to_owned() }),
        Err(errno) => Err(io_error(format!("remove {}", target.display()), errno)),
    }
}

/// The block device whose node stands at `path`.
pub(super) fn block_device_at(path: &Path) -> Result<Option<(u64, u64)>, MountError> {
    let Some((handle, name)) = parent(path)? else { return Ok(None) };
    if let FileKind::Block(major, minor) = file_kind(&handle, &name, path)? {
        return Ok(Some((major, minor)));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_flags_or_the_file_systems_own_and_the_last_word_counts() {
        let options = ["noatime", "data=ordered", "ro", "rw", "defaults", "nouuid"].map(str::to_owned);
        let (flags, data) = split_options(&options, false);
        assert_eq!((flags, data.as_str()), (MountFlags::NOATIME, "data=ordered,nouuid"));
        assert!(split_options(&options, true).0.contains(MountFlags::RDONLY));
    }

    #[test]
    fn only_what_is_empty_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let (full, file) = (base.join("full"), base.join("file"));
        std::fs::create_dir_all(full.join("data")).unwrap();
        std::fs::write(&file, "data").unwrap();
        for kept in [&full, &file] {
            assert!(matches!(remove_target(kept), Err(MountError::Occupied { .. })));
            assert!(kept.exists());
        }
        let empty = base.join("empty");
        make_target(&empty, false).unwrap();
        make_target(&empty, false).unwrap();
        assert!(make_target(&empty, true).is_err());
        remove_target(&empty).unwrap();
        remove_target(&empty).unwrap();
        make_target(&empty, true).unwrap();
        remove_target(&empty).unwrap();
        assert!(!empty.exists());
    }
}
