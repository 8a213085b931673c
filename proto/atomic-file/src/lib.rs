//! Files, links and sockets that others look for at any time: whole or not at all.
//!
//! What is new is made under a hidden name beside its place and renamed. The name is always the same one, so that what a crash
//! left behind is taken away by the next attempt.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Puts `content` at `path` as a new file with the permissions `mode`: whoever has the old one open or mounted keeps it. It
/// survives a power loss.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    place(path, |new| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(new)?;
        file.write_all(content)?;
        // The mode that open() set went through the umask.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()
    })
}

/// Lets `make` make something under a hidden name beside `path`, and renames it to `path`, in place of what is there. If
/// either fails, `path` is as it was.
pub fn place<T>(path: &Path, make: impl FnMut(&Path) -> io::Result<T>) -> io::Result<T> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    place_by(path, &format!(".{name}~"), make)
}

/// As [`place`], by a hidden name of the caller's: the path of a socket must not grow.
pub fn place_by<T>(path: &Path, hidden: &str, make: impl FnMut(&Path) -> io::Result<T>) -> io::Result<T> {
    let folder = path.parent().unwrap_or(Path::new(""));
    match std::fs::remove_file(folder.join(hidden)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let made = tempfile::Builder::new().prefix(hidden).rand_bytes(0).make_in(folder, make)?;
    Ok(made.persist(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn readers_of_the_old_file_keep_it_and_nothing_half_made_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("limits.json");
        replace(&path, b"old", 0o444).unwrap();
        let held = std::fs::File::open(&path).unwrap();
        replace(&path, b"new", 0o444).unwrap();
        assert_eq!(io::read_to_string(held).unwrap(), "old");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_crash_left_behind_is_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".slot~"), "half").unwrap();
        let path = dir.path().join("slot");
        place(&path, |new| symlink("a", new)).unwrap();
        assert_eq!(std::fs::read_link(&path).unwrap(), Path::new("a"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_made_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        std::fs::write(&path, "old").unwrap();
        let failed = place(&path, |new| {
            std::fs::write(new, "ha")?;
            Err::<(), _>(io::Error::other("the disk is full"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "the disk is full");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    }
}
