//! The disk that every case is about, and what the service is told of its volume.

use std::fs;
use std::path::{Path, PathBuf};

use eck_csi::context::PublishContext;
use eck_csi::volume::VolumeId;

use super::content::{Content, GroundTruth};
use super::lab::{self, Loop, copy, path, run};

/// The volume that every case is about.
pub(crate) const VOLUME: &str = "cd-cfebko79upsq2iuo7lkg";

/// What a file of the workload holds.
pub(crate) const PRECIOUS: &str = "data";

/// A volume's id.
pub(crate) fn volume(id: &str) -> VolumeId {
    VolumeId::parse(id.to_owned()).unwrap()
}

/// What staging needs to know about the volume's disk.
pub(crate) fn publish(size_bytes: u64) -> PublishContext {
    PublishContext::new(volume(VOLUME).disk().unwrap(), size_bytes)
}

/// A content, written once and copied for each case.
pub(crate) struct Disk<'a> {
    /// The row.
    pub(crate) content: &'a Content,
    /// The image that is copied.
    pub(crate) base: PathBuf,
    /// Where the cases have their folders.
    pub(crate) folder: PathBuf,
    /// Whether this kernel can mount what the row asks for.
    pub(crate) mountable: bool,
}

impl<'a> Disk<'a> {
    /// Writes the content; a file system gets a file to lose.
    pub(crate) fn prepare(content: &'a Content, folder: &Path) -> Self {
        let base = folder.join("base");
        lab::blank(&base, content.mib);
        (content.make)(&base);
        let mountable = match content.truth {
            GroundTruth::Ours => give_a_file(&base, content.ask, folder),
            _ => {
                let known = fs::read_to_string("/proc/filesystems").unwrap();
                known.lines().any(|l| l.trim_start() == content.ask)
            }
        };
        Self { content, base, folder: folder.to_owned(), mountable }
    }
}

/// Puts a file on the file system; false if this kernel cannot mount it. Tried on a copy: one that has its file already is
/// left as it is, for mounting it would replay its journal.
fn give_a_file(base: &Path, fs: &str, folder: &Path) -> bool {
    let (tried, at) = (folder.join("tried"), folder.join("at"));
    copy(base, &tried);
    fs::create_dir(&at).unwrap();
    let device = Loop::attach(&tried, false);
    let options = if fs == "xfs" { "nouuid" } else { "rw" };
    let mounted = std::process::Command::new("mount")
        .args(["-t", fs, "-o", options, &device.dev(), path(&at)])
        .output()
        .unwrap();
    if !mounted.status.success() {
        return false;
    }
    let has = at.join("precious").exists();
    if !has {
        fs::write(at.join("precious"), PRECIOUS).unwrap();
    }
    run("umount", &[path(&at)]);
    drop(device);
    if !has {
        fs::rename(&tried, base).unwrap();
    }
    true
}
