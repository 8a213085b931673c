//! Files that others read at any time: whole or not at all.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}")]
pub struct WriteError {
    path: String,
    source: io::Error,
}

fn failed(path: &Path) -> impl Fn(io::Error) -> WriteError + '_ {
    |source| WriteError { path: path.display().to_string(), source }
}

/// Makes a folder that only we write, and those above it.
pub(crate) fn folder(path: &Path) -> Result<(), WriteError> {
    fs::create_dir_all(path).map_err(failed(path))
}

/// Puts `content` at `path`, unless it stands there already. It survives a power loss.
pub(crate) fn put(path: &Path, content: &[u8], mode: u32) -> Result<(), WriteError> {
    let mode_of = |path: &Path| fs::symlink_metadata(path).map(|meta| meta.permissions().mode() & 0o777).ok();
    if fs::read(path).is_ok_and(|there| there == content) && mode_of(path) == Some(mode) {
        return Ok(());
    }
    replace(path, content, mode)
}

/// Puts `content` at `path` as a new file: whoever has the old one open or mounted keeps it.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), WriteError> {
    atomic_file::replace(path, content, mode).map_err(failed(path))
}

/// Makes `path` a link to `target`.
pub(crate) fn link(path: &Path, target: &Path) -> Result<(), WriteError> {
    if fs::read_link(path).is_ok_and(|there| there == target) {
        return Ok(());
    }
    atomic_file::place(path, |new| symlink(target, new)).map_err(failed(path))
}

/// Makes `path` another name of the file `of`, in the same file system.
pub(crate) fn hard_link(path: &Path, of: &Path) -> Result<(), WriteError> {
    let inode = |path: &Path| fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()));
    let write = || {
        let wanted = inode(of)?;
        // Renaming one name of a file onto another does nothing, and would leave both.
        if inode(path).is_ok_and(|there| there == wanted) {
            return Ok(());
        }
        atomic_file::place(path, |new| fs::hard_link(of, new))
    };
    write().map_err(failed(path))
}

/// Removes a file or link; not there is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_is_once_and_readers_of_the_old_keep_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("limits.json");
        put(&path, b"old", 0o444).unwrap();
        let mut held = fs::File::open(&path).unwrap();
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        let first = inode(&path);
        put(&path, b"old", 0o444).unwrap();
        assert_eq!(inode(&path), first);
        put(&path, b"new", 0o444).unwrap();
        assert_ne!(inode(&path), first);
        let mut text = String::new();
        io::Read::read_to_string(&mut held, &mut text).unwrap();
        assert_eq!((text.as_str(), fs::read(&path).unwrap().as_slice()), ("old", b"new".as_slice()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
        let at = dir.path().join("slot");
        link(&at, Path::new("a")).unwrap();
        link(&at, Path::new("b")).unwrap();
        assert_eq!(fs::read_link(&at).unwrap(), Path::new("b"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing half made is left");
    }
}
