//! Paths that the kubelet names, walked without ever following a symlink.
//!
//! Each component is opened below the one before it; mounts are then made on `/proc/self/fd/N`, so that nobody can swap a
//! folder for a link between the look and the mount. By hand, since openat2(2) needs Linux 5.6.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};

use super::error::MountError;

/// An opened handle in the file system; it is only a handle, nothing is read through it.
#[derive(Debug)]
pub(super) struct PathHandle(OwnedFd);

impl PathHandle {
    /// A path that means exactly this handle, for system calls that want a path.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

impl AsFd for PathHandle {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What stands at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Nothing,
    Directory,
    /// A regular file of this size.
    File(i64),
    /// A block device with this number.
    Block(u64, u64),
    Symlink,
    Other,
}

const HANDLE: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

fn failed(what: &str, path: &Path, errno: Errno) -> MountError {
    MountError::Io { what: format!("{what} {}", path.display()), source: errno.into() }
}

/// The folder above `path` and the last name. `Ok(None)` if a folder on the way does not exist.
pub(super) fn parent(path: &Path) -> Result<Option<(PathHandle, OsString)>, MountError> {
    let bad = |why| MountError::Path { path: path.to_owned(), why };
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(name) => names.push(name.to_owned()),
            Component::CurDir | Component::ParentDir | Component::Prefix(_) => {
                return Err(bad("it has '.' or '..' in it"));
            }
        }
    }
    let Some(last) = names.pop().filter(|_| path.is_absolute()) else {
        return Err(bad("it is no absolute path below '/'"));
    };
    let root = open("/", HANDLE | OFlag::O_DIRECTORY, Mode::empty()).map_err(|e| failed("open", path, e))?;
    let mut handle = PathHandle(root);
    for name in names {
        handle = match openat(&handle, name.as_os_str(), HANDLE | OFlag::O_DIRECTORY, Mode::empty()) {
            Ok(next) => PathHandle(next),
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                return Err(bad("a part of it is a symlink or not a directory"));
            }
            Err(errno) => return Err(failed("open a part of", path, errno)),
        };
    }
    Ok(Some((handle, last)))
}

/// What stands at `name` below `handle`, a symlink not followed.
pub(super) fn file_kind(handle: &PathHandle, name: &OsString, path: &Path) -> Result<FileKind, MountError> {
    let stat: FileStat = match fstatat(handle, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::ENOENT) => return Ok(FileKind::Nothing),
        Err(errno) => return Err(failed("look at", path, errno)),
    };
    Ok(match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => FileKind::Directory,
        SFlag::S_IFREG => FileKind::File(stat.st_size),
        SFlag::S_IFBLK => {
            FileKind::Block(nix::sys::stat::major(stat.st_rdev), nix::sys::stat::minor(stat.st_rdev))
        }
        SFlag::S_IFLNK => FileKind::Symlink,
        _ => FileKind::Other,
    })
}

/// Opens what stands at `path`: the mount on top, if there is one.
pub(super) fn open_at(path: &Path) -> Result<PathHandle, MountError> {
    let missing = || failed("open", path, Errno::ENOENT);
    let (handle, name) = parent(path)?.ok_or_else(missing)?;
    if file_kind(&handle, &name, path)? == FileKind::Symlink {
        return Err(MountError::Path { path: path.to_owned(), why: "it is a symlink" });
    }
    let opened = openat(&handle, name.as_os_str(), HANDLE, Mode::empty());
    opened.map(PathHandle).map_err(|errno| failed("open", path, errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symlink_is_never_followed_wherever_it_stands() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let real = base.join("盘 1").join("x".repeat(128));
        std::fs::create_dir_all(&real).unwrap();
        std::os::unix::fs::symlink(base.join("盘 1"), base.join("link")).unwrap();
        assert!(open_at(&real).is_ok());
        assert!(matches!(open_at(&base.join("link")), Err(MountError::Path { .. })));
        assert!(matches!(parent(&base.join("link/y")), Err(MountError::Path { .. })));
        assert!(matches!(parent(&base.join("盘 1/../z")), Err(MountError::Path { .. })));
        assert!(matches!(parent(Path::new("some/path")), Err(MountError::Path { .. })));
        assert!(parent(&base.join("no/such")).unwrap().is_none());
    }
}
