//! A node's sysfs as far as disks go: `block/<name>/{serial, dev, size, …}` and `dev/block/<major:minor>`.
//!
//! Only `serial` is ours; everything else is a link to the kernel's own file, so that size and diskseq are always true.

use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Files of `/sys/block/<name>` that a node reads.
const FILES: [&str; 6] = ["dev", "size", "diskseq", "uevent", "ro", "queue"];

/// Makes the folders.
pub fn boot(node: &Path) -> io::Result<()> {
    std::fs::create_dir_all(node.join("sys/block"))?;
    std::fs::create_dir_all(node.join("sys/dev/block"))
}

/// Shows the device `name` with `serial` (no file if empty). The entry appears whole: it is made elsewhere and renamed.
pub fn plug(node: &Path, name: &str, serial: &str) -> io::Result<()> {
    boot(node)?;
    let entry = node.join("sys/block").join(name);
    if entry.exists() {
        unplug(node, name)?;
    }
    let kernel = Path::new("/sys/block").join(name);
    let number = std::fs::read_to_string(kernel.join("dev"))?;
    let hidden = node.join(format!("{name}.new"));
    empty(&hidden)?;
    std::fs::create_dir(&hidden)?;
    for file in FILES {
        if kernel.join(file).exists() {
            symlink(kernel.join(file), hidden.join(file))?;
        }
    }
    if !serial.is_empty() {
        std::fs::write(hidden.join("serial"), format!("{serial}\n"))?;
    }
    std::fs::rename(&hidden, &entry)?;
    let link = node.join("sys/dev/block").join(number.trim());
    match std::fs::remove_file(&link) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    symlink(Path::new("../../block").join(name), link)
}

/// Hides the device `name`; hidden already is success.
pub fn unplug(node: &Path, name: &str) -> io::Result<()> {
    let entry = node.join("sys/block").join(name);
    if !entry.exists() {
        return Ok(());
    }
    if let Ok(number) = std::fs::read_to_string(entry.join("dev")) {
        let _ = std::fs::remove_file(node.join("sys/dev/block").join(number.trim()));
    }
    let hidden = node.join(format!("{name}.old"));
    empty(&hidden)?;
    std::fs::rename(&entry, &hidden)?;
    empty(&hidden)
}

/// Removes one of our own flat folders: its files, then itself.
fn empty(folder: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        std::fs::remove_file(entry?.path())?;
    }
    std::fs::remove_dir(folder)
}
