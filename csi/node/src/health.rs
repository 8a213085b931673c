//! NodeGetVolumeHealth and NodeGetStorageHealth: what is wrong with a volume, or with this node's disks, right now.
//!
//! Everything is looked at when it is asked: the disk behind the serial, its first and last block, the mounts of its file
//! system, what the kernel has done to them. Only that a volume should be here at all is remembered; see [`StageHistory`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eck_csi::operations::{OnConflict, Operation};
use eck_csi::volume::{DiskId, VolumeId};
use proto::csi::v1 as pb;
use serve::chain::chain;

use crate::driver::Driver;
use crate::error::HealthError;
use crate::fields::{RequestError, path};
use crate::finding::{Finding, Severity};
use crate::history::{StageHistory, StageOutcome};
use crate::host::{Device, Host, MountTable};
use crate::probes::{Probe, on_own_thread};

/// NodeGetVolumeHealth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HealthRequest {
    pub(crate) volume: VolumeId,
    pub(crate) disk: DiskId,
    /// Where it is, or was to be, published.
    pub(crate) published: Option<PathBuf>,
    /// Where it is, or was to be, staged.
    pub(crate) staged: Option<PathBuf>,
}

impl TryFrom<pb::NodeGetVolumeHealthRequest> for HealthRequest {
    type Error = RequestError;

    fn try_from(request: pb::NodeGetVolumeHealthRequest) -> Result<Self, RequestError> {
        let volume = VolumeId::parse(request.volume_id)?;
        let place = |field: &str, value: String| {
            if value.is_empty() { Ok(None) } else { path(field, value).map(Some) }
        };
        let published = place("volume_publish_path", request.volume_publish_path)?;
        let staged = place("staging_target_path", request.staging_target_path)?;
        let disk = volume.disk().ok_or_else(|| RequestError::NoVolume(volume.to_string()))?;
        Ok(Self { volume, disk, published, staged })
    }
}

impl<H: Host> Operation<Driver<H>> for HealthRequest {
    type Output = Vec<Finding>;
    type Error = HealthError;
    const NAME: &'static str = "NodeGetVolumeHealth";

    fn key(&self) -> String {
        self.volume.to_string()
    }

    fn on_conflict(_: bool) -> OnConflict {
        // The next one would hang where the first does.
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver<H>>) -> Result<Vec<Finding>, HealthError> {
        on_own_thread(move || volume(&driver.host, &self, &driver.history)).await
    }
}

impl<H: Host> Probe<Driver<H>> for HealthRequest {
    fn no_answer(&self) -> Result<Vec<Finding>, HealthError> {
        Ok(vec![hangs(Severity::Inaccessible)])
    }
}

/// NodeGetStorageHealth.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StorageHealthRequest;

impl<H: Host> Operation<Driver<H>> for StorageHealthRequest {
    type Output = Vec<Finding>;
    type Error = HealthError;
    const NAME: &'static str = "NodeGetStorageHealth";
    const KEY_IS: &'static str = "csi.key";

    fn key(&self) -> String {
        "storage".to_owned()
    }

    fn on_conflict(_: bool) -> OnConflict {
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver<H>>) -> Result<Vec<Finding>, HealthError> {
        on_own_thread(move || Ok(storage(&driver.host, &driver.history))).await
    }
}

impl<H: Host> Probe<Driver<H>> for StorageHealthRequest {
    fn no_answer(&self) -> Result<Vec<Finding>, HealthError> {
        Ok(vec![hangs(Severity::Degraded)])
    }
}

/// That there was no answer is an answer.
fn hangs(severity: Severity) -> Finding {
    Finding::new(severity, "NotResponding", "the disk or its file system does not answer: it hangs")
}

/// What is wrong with the volume; nothing if it is well. May hang as long as the disk does.
fn volume(
    host: &impl Host,
    request: &HealthRequest,
    history: &StageHistory,
) -> Result<Vec<Finding>, HealthError> {
    let devices = host.devices(&request.disk.serials())?;
    let table = host.mounts()?;
    let outcome = history.outcome(&request.volume);
    let named = request.published.is_some() || request.staged.is_some();
    let device = match devices.as_slice() {
        [] if outcome.is_none() && !named => {
            return Err(HealthError::NotFound { volume: request.volume.clone() });
        }
        [] => return Ok(vec![missing(request, &table)]),
        [one] => one,
        many => return Ok(vec![ambiguous(many)]),
    };
    let mut found: Vec<Finding> = outcome.as_ref().and_then(StageOutcome::finding).into_iter().collect();
    if let Err(error) = host.responds(device) {
        // Whatever lies above a disk that cannot be read would only say the same in other words.
        found.push(Finding::new(Severity::Inaccessible, "DiskUnreadable", chain(&error)));
        return Ok(without_duplicates(found));
    }
    let device = host.content_device(&request.disk, device)?;
    found.extend(check_mounts(host, request, &device, &table, outcome.as_ref())?);
    found.extend(check_filesystem(host, &device, &table));
    Ok(without_duplicates(found))
}

/// The spec: no two findings with the same severity and reason.
fn without_duplicates(found: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    for finding in found {
        if !kept.iter().any(|k| (k.severity, k.reason) == (finding.severity, finding.reason)) {
            kept.push(finding);
        }
    }
    kept
}

fn missing(request: &HealthRequest, table: &MountTable) -> Finding {
    let serials = request.disk.serials().join(", ");
    let at =
        [&request.published, &request.staged].into_iter().flatten().find(|path| table.at(path).is_some());
    let still = at.map(|path| format!("; what is mounted at {} has lost its disk", path.display()));
    let message = format!("no block device has a serial of {serials}{}", still.unwrap_or_default());
    Finding::new(Severity::Inaccessible, "DiskMissing", message)
}

fn ambiguous(devices: &[Device]) -> Finding {
    let names: Vec<&str> = devices.iter().map(|d| d.name.as_str()).collect();
    let message = format!("several block devices show the volume's serial: {}", names.join(", "));
    Finding::new(Severity::Inaccessible, "DiskAmbiguous", message)
}

/// Whether the volume is where it should be.
fn check_mounts(
    host: &impl Host,
    request: &HealthRequest,
    device: &Device,
    table: &MountTable,
    outcome: Option<&StageOutcome>,
) -> Result<Vec<Finding>, HealthError> {
    let number = (device.major, device.minor);
    let mut found = Vec::new();
    // A block volume has nothing mounted where it is staged, so only a mount that this process made can be missed there.
    let made = outcome.and_then(StageOutcome::mounted);
    let staged = made.or(request.staged.as_deref().filter(|path| table.at(path).is_some()));
    let published = request.published.as_deref();
    let shown = |path: &Path| -> Result<bool, HealthError> {
        Ok(table.at(path).is_some_and(|mount| mount.device == number)
            || host.block_device_at(path)? == Some(number))
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
fn check_filesystem(host: &impl Host, device: &Device, table: &MountTable) -> Vec<Finding> {
    let number = (device.major, device.minor);
    let Some(first) = table.of_device(number).next() else { return Vec::new() };
    let mut found = Vec::new();
    if let Err(error) = host.can_list(&first.target) {
        // XFS answers so to everything after it has shut itself down.
        found.push(Finding::new(Severity::Inaccessible, "FileSystemFailed", chain(&error)));
    }
    if let Some(mount) = table.of_device(number).find(|mount| mount.stopped) {
        let message =
            format!("the kernel stopped writes to the {} on {} after an error", mount.fs, device.name);
        found.push(Finding::new(Severity::Degraded, "FileSystemReadOnly", message));
    } else if device.read_only && table.of_device(number).any(|mount| !mount.read_only) {
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
fn storage(host: &impl Host, history: &StageHistory) -> Vec<Finding> {
    let mut lost = Vec::new();
    let staged = history.staged();
    for volume in &staged {
        let Some(disk) = volume.disk() else { continue };
        match host.devices(&disk.serials()) {
            Err(error) => {
                return vec![Finding::new(Severity::Inaccessible, "DisksUnseen", chain(&error))];
            }
            Ok(devices) if devices.first().is_some_and(|device| host.responds(device).is_ok()) => {}
            Ok(_) => lost.push(volume.as_str()),
        }
    }
    summarise(staged.len(), &lost).into_iter().collect()
}

/// Volumes that a message names; the rest is counted.
const NAMED: usize = 5;

fn summarise(staged: usize, lost: &[&str]) -> Option<Finding> {
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
        assert_eq!(summarise(3, &[]), None);
        assert_eq!(summarise(1, &["cd-a"]).unwrap().severity, Severity::Degraded);
        assert_eq!(summarise(3, &["cd-a"]).unwrap().reason, "SomeDisksDoNotAnswer");
        assert_eq!(summarise(2, &["cd-a", "cd-b"]).unwrap().severity, Severity::Inaccessible);
        let many = ["a"; 9];
        assert!(summarise(20, &many).unwrap().message.ends_with("a, a, a, a, a, …"));
    }
}
