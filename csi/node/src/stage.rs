//! NodeStageVolume.
//!
//! ```text
//! find the disk by serial, wait for it ─▶ what is mounted at the staging path?
//!    this disk, as asked   → done
//!    anything else         → refused
//!    nothing               → (open, if it is encrypted: `open_volume`)
//!                            probe ─▶ our file system → (check) → mount ─▶ grow if the disk is larger ─▶ proven
//!                                     the source's    → check, a UUID of its own → mount ─▶ grow ─▶ proven
//!                                     blank           → format → mount
//!                                     anything else   → refused, untouched
//! ```
//!
//! Between every look and the act that follows from it the disk is made sure of again: serial, number, `diskseq`.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use eck_csi::operations::{OnConflict, Operation, blocking};
use eck_csi::volume::FsType;
use eck_csi::volume_options::{Discard, Fsck};

use crate::driver::Driver;
use crate::error::StageError;
use crate::fields::AccessType;
use crate::fsid::{self, Owner};
use crate::history::StageOutcome;
use crate::host::{
    Check, Content, Depth, Device, Format, FsId, Host, HostError, LuksError, MountError, MountTable, SLACK,
};
use crate::open_volume::{self, OpenVolume};
use crate::trim::schedule::warn_of_schedule;

mod finding;
pub(crate) mod request;

pub use request::StageRequest;

impl<H: Host> Operation<Driver<H>> for StageRequest {
    type Output = ();
    type Error = StageError;
    const NAME: &'static str = "NodeStageVolume";

    fn key(&self) -> String {
        self.volume.to_string()
    }

    fn on_conflict(same_kind: bool) -> OnConflict {
        // To be staged in two ways at once is the caller's contradiction.
        if same_kind { OnConflict::Abort } else { OnConflict::Wait }
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver<H>>) -> Result<(), StageError> {
        blocking(move || {
            let staged = stage(&driver.host, &self, driver.device_deadline());
            driver.decisions.count(decision(&staged));
            driver.history.record(self.volume.clone(), outcome(&self, staged.as_ref().err()));
            if staged.is_ok() {
                warn_of_schedule(schedule_trims(&driver, &self));
            }
            staged.map(drop)
        })
        .await
    }
}

/// What the counter of decisions calls it.
fn decision(staged: &Result<StageResult, StageError>) -> &'static str {
    match staged {
        Ok(StageResult::Already) => "already",
        Ok(StageResult::Block) => "block",
        Ok(StageResult::Mounted) => "mounted",
        Ok(StageResult::Formatted) => "formatted",
        Err(
            StageError::Foreign { .. }
            | StageError::OtherFileSystem { .. }
            | StageError::NotEncrypted { .. }
            | StageError::BlankCopy { .. },
        ) => "refused_data",
        Err(StageError::OtherVolume { .. }) => "refused_identity",
        Err(StageError::Host(HostError::Luks(LuksError::WrongKey { .. }))) => "refused_key",
        Err(StageError::Host(HostError::Device(_))) => "refused_device",
        Err(_) => "failed",
    }
}

/// What health remembers of it.
fn outcome(request: &StageRequest, failure: Option<&StageError>) -> StageOutcome {
    match (failure, &request.access) {
        (Some(error), _) => StageOutcome::Failed(finding::finding(error)),
        (None, AccessType::Block) => StageOutcome::Block,
        (None, AccessType::Mount { .. }) => StageOutcome::Mounted(request.staging.clone()),
    }
}

fn schedule_trims<H>(driver: &Driver<H>, request: &StageRequest) -> io::Result<()> {
    let Some(disk) = request.volume.disk() else { return Ok(()) };
    let mounted = matches!(request.access, AccessType::Mount { .. });
    if mounted && request.options.discard == Discard::Periodic {
        driver.trims.add(&disk)
    } else {
        driver.trims.remove(&disk)
    }
}

/// What staging did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StageResult {
    /// Nothing: it was staged as asked.
    Already,
    /// A block volume: the disk was found and not touched.
    Block,
    /// Its file system was mounted.
    Mounted,
    /// It was blank, got a file system and was mounted.
    Formatted,
}

/// What to do with a disk that is to be mounted and is not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StagePlan {
    fs: FsType,
    format: bool,
    check: Option<Check>,
    /// Give the copy of another file system a UUID of its own.
    new_uuid: bool,
    grow: bool,
}

/// Stages, in the order that the module's text gives. The disk may take until `deadline` to appear.
fn stage(host: &impl Host, request: &StageRequest, deadline: Instant) -> Result<StageResult, StageError> {
    let disk = host.wait_for_device(&request.publish, deadline)?;
    if disk.read_only && !request.read_only {
        return Err(StageError::ReadOnlyDevice { device: disk.name });
    }
    let AccessType::Mount { fs, options } = &request.access else {
        OpenVolume::open(host, disk, request)?;
        return Ok(StageResult::Block);
    };
    let opened = OpenVolume::opened_before(host, &disk, request)?;
    if is_staged(&host.mounts()?, opened.as_ref(), request, *fs)? {
        return Ok(StageResult::Already);
    }
    let mut volume = OpenVolume::open(host, disk, request)?;
    let result = fill_and_mount(host, &mut volume, request, *fs, options);
    if result.is_err() {
        volume.close();
    }
    result
}

/// From what the volume holds to its mount.
fn fill_and_mount<H: Host>(
    host: &H,
    volume: &mut OpenVolume<'_, H>,
    request: &StageRequest,
    fs: Option<FsType>,
    options: &[String],
) -> Result<StageResult, StageError> {
    let content = volume.content()?;
    let device = volume.device().clone();
    let plan = decide(&content, &device, request, fs)?;
    // In use means mounted elsewhere on this machine: the kernel has it in hand, and a check or a new UUID would do harm.
    let free = (plan.check.is_some() || plan.new_uuid) && !host.in_use(&device)?;
    let plan = StagePlan { check: plan.check.filter(|_| free), new_uuid: plan.new_uuid && free, ..plan };
    if plan.format && !host.supports(plan.fs) {
        return Err(HostError::from(MountError::NoFileSystem { fs: plan.fs }).into());
    }
    host.make_target(&request.staging, false)?;
    if plan.format {
        host.format(&device, &format(request, plan.fs, volume.depth()))?;
    } else {
        if let Some(check) = plan.check {
            host.check(&device, plan.fs, check)?;
        }
        if plan.new_uuid {
            give_own_uuid(host, &device, request, plan.fs, options)?;
        }
    }
    volume.mark_used()?;
    mount_and_prove(host, &device, request, plan, options)?;
    Ok(if plan.format { StageResult::Formatted } else { StageResult::Mounted })
}

fn format(request: &StageRequest, fs: FsType, depth: Depth) -> Format {
    let (uuid, fat) = (fsid::filesystem_uuid(&request.volume), fsid::fat_serial(&request.volume));
    Format { fs, uuid, fat, options: request.options.mkfs.clone(), depth }
}

/// Gives a copy the volume's own UUID: its source may be mounted on this very machine, and a mix-up is seen at the next
/// staging. Not having one stops nothing, since the mount does without (`nouuid`).
fn give_own_uuid(
    host: &impl Host,
    device: &Device,
    request: &StageRequest,
    fs: FsType,
    options: &[String],
) -> Result<(), StageError> {
    if fs == FsType::Xfs {
        // Only the kernel replays the log, and a snapshot of a mounted file system has one to replay.
        mount_rechecked(host, device, request, fs, options)?;
        host.unmount(&request.staging)?;
    }
    if !host.set_uuid(&host.recheck(device)?, fs, fsid::filesystem_uuid(&request.volume))? {
        tracing::warn!(volume = %request.volume, device = %device.name, "The copy keeps the UUID of its source.");
    }
    Ok(())
}

/// The mount itself, of the disk that was probed. What stands there afterwards is for the caller to prove.
fn mount_rechecked(
    host: &impl Host,
    device: &Device,
    request: &StageRequest,
    fs: FsType,
    options: &[String],
) -> Result<Device, StageError> {
    let device = host.recheck(device)?;
    let mut options = options.to_vec();
    if fs == FsType::Xfs && !options.iter().any(|o| o == "nouuid") {
        // A clone on the same node has the same UUID; which disk this is was proven by other means.
        options.push("nouuid".to_owned());
    }
    host.mount(&device, fs, &request.staging, &options, request.read_only)?;
    Ok(device)
}

/// Mounts, and proves that what is mounted is the disk that was probed.
fn mount_and_prove(
    host: &impl Host,
    device: &Device,
    request: &StageRequest,
    plan: StagePlan,
    options: &[String],
) -> Result<(), StageError> {
    let device = &mount_rechecked(host, device, request, plan.fs, options)?;
    let proven = host.recheck(device).map_err(StageError::from).and_then(|now| {
        if !is_staged(&host.mounts()?, Some(&now), request, Some(plan.fs))? {
            let what = "nothing of this volume".to_owned();
            return Err(StageError::PathOccupied { path: request.staging.clone(), what });
        }
        if plan.grow && !request.read_only {
            host.grow(&now, plan.fs, &request.staging)?;
        }
        Ok(())
    });
    // What is not proven does not stay mounted; if that fails too, the first reason is the one that matters.
    proven.inspect_err(|_| drop(host.unmount(&request.staging)))
}

/// Whether the volume is mounted at its staging path just as asked; an error if something else is. No device: it is not open.
fn is_staged(
    table: &MountTable,
    device: Option<&Device>,
    request: &StageRequest,
    fs: Option<FsType>,
) -> Result<bool, StageError> {
    let Some(mount) = table.at(&request.staging) else { return Ok(false) };
    let path = request.staging.clone();
    if device.is_none_or(|device| mount.device != (device.major, device.minor)) {
        let what = format!("{} of device {}:{}", mount.fs, mount.device.0, mount.device.1);
        return Err(StageError::PathOccupied { path, what });
    }
    if fs.is_some_and(|fs| fs.as_str() != mount.fs) {
        return Err(StageError::Incompatible { path, how: format!("as {}", mount.fs) });
    }
    if mount.read_only && !request.read_only {
        // Also what the kernel does to a file system after an I/O error: not what was asked for.
        return Err(StageError::Incompatible { path, how: "read-only".to_owned() });
    }
    Ok(true)
}

fn decide(
    content: &Content,
    device: &Device,
    request: &StageRequest,
    fs: Option<FsType>,
) -> Result<StagePlan, StageError> {
    let name = || device.name.clone();
    let found = match content {
        Content::Formatted(found) => found,
        Content::Foreign(_) | Content::Luks2 | Content::Begun(_) => {
            return Err(open_volume::foreign(content, device));
        }
        Content::Blank => return blank(device, request, fs),
    };
    if let Some(wants) = fs.filter(|wants| *wants != found.fs) {
        return Err(StageError::OtherFileSystem { device: name(), has: found.fs, wants });
    }
    let owner = match found.id {
        FsId::Uuid(uuid) => fsid::owner(uuid, fsid::filesystem_uuid(&request.volume)),
        FsId::Fat(_) => Owner::Unknown,
    };
    // A copy has the UUID that its source had, or its source's source: nobody here can know whose that was.
    if owner == Owner::OtherVolume && request.source.is_none() {
        return Err(StageError::OtherVolume { device: name() });
    }
    let copied = request.source.is_some() && owner != Owner::ThisVolume && matches!(found.id, FsId::Uuid(_));
    let new_uuid = copied && !request.read_only;
    let grow = found.fs != FsType::Vfat && found.size_bytes + SLACK < device.size_bytes;
    // A copy of what was mounted may have a journal to replay, whatever its flags say.
    let due = (!found.clean || new_uuid) && !request.read_only;
    let check = match request.options.fsck {
        Fsck::Repair => Some(Check::Repair),
        Fsck::Check => Some(Check::ReadOnly),
        Fsck::None => None,
    };
    let check = check.filter(|_| due);
    Ok(StagePlan { fs: found.fs, format: false, check, new_uuid, grow })
}

/// A blank disk is formatted, if it is the volume's own and may be written to.
fn blank(device: &Device, request: &StageRequest, fs: Option<FsType>) -> Result<StagePlan, StageError> {
    open_volume::check_unused(device, request)?;
    let fs = fs.unwrap_or_default();
    Ok(StagePlan { fs, format: true, check: None, new_uuid: false, grow: false })
}

#[cfg(test)]
pub(crate) mod tests;
