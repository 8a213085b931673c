//! NodeGetVolumeHealth and NodeGetStorageHealth: what is wrong with a volume, or with this node's disks, right now.
//!
//! Everything is looked at when it is asked: the disk behind the serial, its first and last block, the mounts of its file
//! system, what the kernel has done to them. Only that a volume should be here at all is remembered; see [`Known`].

use std::path::{Path, PathBuf};

use eck_csi::volume::{DiskId, VolumeId};
use serve::chain::chain;

use crate::error::HealthError;
use crate::host::{Device, Host, MountTable};
use crate::known::{Known, Tried};

/// How bad it is, in the spec's three steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Usable, not as it should be.
    Degraded,
    /// Not usable from this node.
    Inaccessible,
    /// Data is lost, or is very likely to be.
    DataLoss,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// How bad.
    pub(crate) severity: Severity,
    /// One word for machines; each occurs once in an answer.
    pub(crate) reason: &'static str,
    /// A sentence for people.
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn new(severity: Severity, reason: &'static str, message: impl Into<String>) -> Self {
        Self { severity, reason, message: message.into() }
    }
}

/// A disk, or all of them, that does not answer within the patience: what a look that hangs has found.
pub(crate) fn hangs(severity: Severity) -> Finding {
    Finding::new(severity, "NotResponding", "the disk or its file system does not answer: it hangs")
}

/// NodeGetVolumeHealth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) volume: VolumeId,
    pub(crate) disk: DiskId,
    /// Where it is, or was to be, published.
    pub(crate) published: Option<PathBuf>,
    /// Where it is, or was to be, staged.
    pub(crate) staged: Option<PathBuf>,
}

/// What is wrong with the volume; nothing if it is well. May hang as long as the disk does.
pub(crate) fn volume(host: &impl Host, q: &Question, known: &Known) -> Result<Vec<Finding>, HealthError> {
    let devices = host.devices(&q.disk.serials())?;
    let table = host.mounts()?;
    let tried = known.of(&q.volume);
    let named = q.published.is_some() || q.staged.is_some();
    let device = match devices.as_slice() {
        [] if tried.is_none() && !named => return Err(HealthError::NotThere { volume: q.volume.clone() }),
        [] => return Ok(vec![missing(q, &table)]),
        [one] => one,
        many => return Ok(vec![twins(many)]),
    };
    let mut found: Vec<Finding> = tried.as_ref().and_then(Tried::finding).into_iter().collect();
    if let Err(error) = host.answers(device) {
        // Whatever lies above a disk that cannot be read would only say the same in other words.
        found.push(Finding::new(Severity::Inaccessible, "DiskUnreadable", chain(&error)));
        return Ok(once(found));
    }
    let device = host.luks().top(&q.disk, device)?;
    found.extend(places(host, q, &device, &table, tried.as_ref())?);
    found.extend(file_system(host, &device, &table));
    Ok(once(found))
}

/// The spec: no two findings with the same severity and reason.
fn once(found: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    for finding in found {
        if !kept.iter().any(|k| (k.severity, k.reason) == (finding.severity, finding.reason)) {
            kept.push(finding);
        }
    }
    kept
}

fn missing(q: &Question, table: &MountTable) -> Finding {
    let serials = q.disk.serials().join(", ");
    let at = [&q.published, &q.staged].into_iter().flatten().find(|path| table.at(path).is_some());
    let still = at.map(|path| format!("; what is mounted at {} has lost its disk", path.display()));
    let message = format!("no block device has a serial of {serials}{}", still.unwrap_or_default());
    Finding::new(Severity::Inaccessible, "DiskMissing", message)
}

fn twins(devices: &[Device]) -> Finding {
    let names: Vec<&str> = devices.iter().map(|d| d.name.as_str()).collect();
    let message = format!("several block devices show the volume's serial: {}", names.join(", "));
    Finding::new(Severity::Inaccessible, "DiskAmbiguous", message)
}

/// Whether the volume is where it should be.
fn places(
    host: &impl Host,
    q: &Question,
    device: &Device,
    table: &MountTable,
    tried: Option<&Tried>,
) -> Result<Vec<Finding>, HealthError> {
    let number = (device.major, device.minor);
    let mut found = Vec::new();
    // A block volume has nothing mounted where it is staged, so only a mount that this process made can be missed there.
    let made = tried.and_then(Tried::mounted);
    let staged = made.or(q.staged.as_deref().filter(|path| table.at(path).is_some()));
    let published = q.published.as_deref();
    let shown = |path: &Path| -> Result<bool, HealthError> {
        Ok(table.at(path).is_some_and(|mount| mount.device == number) || host.node_at(path)? == Some(number))
    };
    for at in [staged, published].into_iter().flatten() {
        if shown(at)? {
            continue;
        }
        let (name, path) = (&device.name, at.display());
        let (reason, message) = match table.at(at).map(|mount| mount.device) {
            None => ("MountMissing", format!("{name} is not mounted at {path}")),
            Some((major, minor)) => {
                ("MountOfAnotherDisk", format!("{path} shows device {major}:{minor} and not {name}"))
            }
        };
        found.push(Finding::new(Severity::Inaccessible, reason, message));
    }
    Ok(found)
}

/// What has happened to the file system, if it is mounted.
fn file_system(host: &impl Host, device: &Device, table: &MountTable) -> Vec<Finding> {
    let number = (device.major, device.minor);
    let Some(first) = table.of(number).next() else { return Vec::new() };
    let mut found = Vec::new();
    if let Err(error) = host.lists(&first.target) {
        // XFS answers so to everything after it has shut itself down.
        found.push(Finding::new(Severity::Inaccessible, "FileSystemFailed", chain(&error)));
    }
    if let Some(mount) = table.of(number).find(|mount| mount.stopped) {
        let message =
            format!("the kernel stopped writes to the {} on {} after an error", mount.fs, device.name);
        found.push(Finding::new(Severity::Degraded, "FileSystemReadOnly", message));
    } else if device.read_only && table.of(number).any(|mount| !mount.read_only) {
        let message = format!("{} has become read-only in the kernel", device.name);
        found.push(Finding::new(Severity::Degraded, "DiskReadOnly", message));
    }
    let errors = host.errors_counted(device);
    if errors > 0 {
        let message =
            format!("the kernel has counted {errors} errors in the {} on {}", first.fs, device.name);
        found.push(Finding::new(Severity::Degraded, "FileSystemErrors", message));
    }
    found
}

/// NodeGetStorageHealth: the disks of all volumes that are staged here, as one backend. They are reached the same way, so
/// when none of them answers it is not the volumes.
pub(crate) fn storage(host: &impl Host, known: &Known) -> Vec<Finding> {
    let mut lost = Vec::new();
    let staged = known.staged();
    for volume in &staged {
        let Some(disk) = volume.disk() else { continue };
        match host.devices(&disk.serials()) {
            Err(error) => {
                return vec![Finding::new(Severity::Inaccessible, "DisksUnseen", chain(&error))];
            }
            Ok(devices) if devices.first().is_some_and(|device| host.answers(device).is_ok()) => {}
            Ok(_) => lost.push(volume.as_str()),
        }
    }
    judge(staged.len(), &lost).into_iter().collect()
}

/// Volumes that a message names; the rest is counted.
const NAMED: usize = 5;

fn judge(staged: usize, lost: &[&str]) -> Option<Finding> {
    if lost.is_empty() {
        return None;
    }
    let more = if lost.len() > NAMED { ", …" } else { "" };
    let names = lost.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let message = format!("{} of {staged} staged disks do not answer: {names}{more}", lost.len());
    // One disk alone tells nothing of what lies between it and the machine.
    Some(if lost.len() == staged && staged > 1 {
        Finding::new(Severity::Inaccessible, "NoDiskAnswers", message)
    } else {
        Finding::new(Severity::Degraded, "SomeDisksDoNotAnswer", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lost_disk_is_no_lost_backend() {
        assert_eq!(judge(3, &[]), None);
        assert_eq!(judge(1, &["cd-a"]).unwrap().severity, Severity::Degraded);
        assert_eq!(judge(3, &["cd-a"]).unwrap().reason, "SomeDisksDoNotAnswer");
        assert_eq!(judge(2, &["cd-a", "cd-b"]).unwrap().severity, Severity::Inaccessible);
        let many = ["a"; 9];
        assert!(judge(20, &many).unwrap().message.ends_with("a, a, a, a, a, …"));
    }
}
