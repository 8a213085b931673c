//! NodeStageVolume and NodeUnstageVolume.
//!
//! ```text
//! find the disk by serial, wait for it ─▶ what is mounted at the staging path?
//!    this disk, as asked   → done
//!    anything else         → refused
//!    nothing               → (open, if it is encrypted: `crypt`)
//!                            probe ─▶ our file system → (check) → mount ─▶ grow if the disk is larger ─▶ proven
//!                                     the source's    → check, a UUID of its own → mount ─▶ grow ─▶ proven
//!                                     blank           → format → mount
//!                                     anything else   → refused, untouched
//! ```
//!
//! Between every look and the act that follows from it the disk is made sure of again: serial, number, `diskseq`.

use std::time::Instant;

use eck_csi::care::Fsck;
use eck_csi::volume::{FsType, VolumeId};
use std::path::Path;

use crate::crypt::{self, Carrier};
use crate::error::{LeaveError, StageError};
use crate::fsid::{self, Whose};
use crate::host::{Check, Content, Depth, Device, Format, FsId, Host, MountError, MountTable, SLACK};
use crate::request::{Stage, Want};

/// What staging did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Staged {
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
struct Plan {
    fs: FsType,
    format: bool,
    check: Option<Check>,
    /// Give the copy of another file system a UUID of its own.
    identify: bool,
    grow: bool,
}

/// See the module's text. `deadline`: until then the disk may take to appear.
pub(crate) fn stage(host: &impl Host, q: &Stage, deadline: Instant) -> Result<Staged, StageError> {
    let device = host.wait_for_device(&q.publish, deadline)?;
    if device.read_only && !q.read_only {
        return Err(StageError::ReadOnlyDevice { device: device.name });
    }
    let Want::Mount { fs, options } = &q.want else {
        return crypt::open(host, &device, q).map(|_| Staged::Block);
    };
    let opened = crypt::opened(host, &device, q)?;
    if staged(&host.mounts()?, opened.as_ref(), q, *fs)? {
        return Ok(Staged::Already);
    }
    let carrier = crypt::open(host, &device, q)?;
    fill(host, &carrier, q, *fs, options).inspect_err(|_| crypt::close(host, q))
}

/// From what the volume holds to its mount.
fn fill(
    host: &impl Host,
    carrier: &Carrier,
    q: &Stage,
    fs: Option<FsType>,
    options: &[String],
) -> Result<Staged, StageError> {
    let device = &carrier.device;
    // Of one that nobody used the disk was blank before.
    let depth = if carrier.fresh() { Depth::Sampled } else { q.depth() };
    let content = crypt::content(host, carrier, depth)?;
    let plan = decide(&content, device, q, fs)?;
    // In use means mounted elsewhere on this machine: the kernel has it in hand, and a check or a new UUID would do harm.
    let free = (plan.check.is_some() || plan.identify) && !host.in_use(device)?;
    let plan = Plan { check: plan.check.filter(|_| free), identify: plan.identify && free, ..plan };
    if plan.format && !host.supports(plan.fs) {
        return Err(MountError::NoFileSystem { fs: plan.fs }.into());
    }
    host.make_target(&q.staging, false)?;
    if plan.format {
        let (uuid, fat) = (fsid::of(&q.volume), fsid::fat(&q.volume));
        host.format(device, &Format { fs: plan.fs, uuid, fat, options: q.care.mkfs.clone(), depth })?;
    } else {
        if let Some(check) = plan.check {
            host.check(device, plan.fs, check)?;
        }
        if plan.identify {
            identify(host, device, q, plan.fs, options)?;
        }
    }
    crypt::settle(host, carrier, q)?;
    mount(host, device, q, plan, options)?;
    Ok(if plan.format { Staged::Formatted } else { Staged::Mounted })
}

/// Gives a copy the volume's own UUID: its source may be mounted on this very machine, and a mix-up is seen at the next
/// staging. Not having one stops nothing, since the mount does without (`nouuid`).
fn identify(
    host: &impl Host,
    device: &Device,
    q: &Stage,
    fs: FsType,
    options: &[String],
) -> Result<(), StageError> {
    if fs == FsType::Xfs {
        // Only the kernel replays the log, and a snapshot of a mounted file system has one to replay.
        attach(host, device, q, fs, options)?;
        host.unmount(&q.staging)?;
    }
    if !host.set_uuid(&host.recheck(device)?, fs, fsid::of(&q.volume))? {
        tracing::warn!(volume = %q.volume, device = %device.name, "The copy keeps the UUID of its source.");
    }
    Ok(())
}

/// The mount itself, of the disk that was probed. What stands there afterwards is for the caller to prove.
fn attach(
    host: &impl Host,
    device: &Device,
    q: &Stage,
    fs: FsType,
    options: &[String],
) -> Result<Device, StageError> {
    let device = host.recheck(device)?;
    let mut options = options.to_vec();
    if fs == FsType::Xfs && !options.iter().any(|o| o == "nouuid") {
        // A clone on the same node has the same UUID; which disk this is was proven by other means.
        options.push("nouuid".to_owned());
    }
    host.mount(&device, fs, &q.staging, &options, q.read_only)?;
    Ok(device)
}

/// Mounts, and proves that what is mounted is the disk that was probed.
fn mount(
    host: &impl Host,
    device: &Device,
    q: &Stage,
    plan: Plan,
    options: &[String],
) -> Result<(), StageError> {
    let device = &attach(host, device, q, plan.fs, options)?;
    let proven = host.recheck(device).map_err(StageError::from).and_then(|now| {
        if !staged(&host.mounts()?, Some(&now), q, Some(plan.fs))? {
            let what = "nothing of this volume".to_owned();
            return Err(StageError::Taken { path: q.staging.clone(), what });
        }
        if plan.grow && !q.read_only {
            host.grow(&now, plan.fs, &q.staging)?;
        }
        Ok(())
    });
    // What is not proven does not stay mounted; if that fails too, the first reason is the one that matters.
    proven.inspect_err(|_| drop(host.unmount(&q.staging)))
}

/// Whether the volume is mounted at its staging path just as asked; an error if something else is. No device: it is not open.
fn staged(
    table: &MountTable,
    device: Option<&Device>,
    q: &Stage,
    fs: Option<FsType>,
) -> Result<bool, StageError> {
    let Some(mount) = table.at(&q.staging) else { return Ok(false) };
    let path = q.staging.clone();
    if device.is_none_or(|device| mount.device != (device.major, device.minor)) {
        let what = format!("{} of device {}:{}", mount.fs, mount.device.0, mount.device.1);
        return Err(StageError::Taken { path, what });
    }
    if fs.is_some_and(|fs| fs.as_str() != mount.fs) {
        return Err(StageError::Differently { path, how: format!("as {}", mount.fs) });
    }
    if mount.read_only && !q.read_only {
        // Also what the kernel does to a file system after an I/O error: not what was asked for.
        return Err(StageError::Differently { path, how: "read-only".to_owned() });
    }
    Ok(true)
}

fn decide(content: &Content, device: &Device, q: &Stage, fs: Option<FsType>) -> Result<Plan, StageError> {
    let name = || device.name.clone();
    let found = match content {
        Content::Formatted(found) => found,
        Content::Foreign(_) | Content::Luks2 | Content::Begun(_) => {
            return Err(crypt::foreign(content, device));
        }
        Content::Blank => return blank(device, q, fs),
    };
    if let Some(wants) = fs.filter(|wants| *wants != found.fs) {
        return Err(StageError::OtherFileSystem { device: name(), has: found.fs, wants });
    }
    let whose = match found.id {
        FsId::Uuid(uuid) => fsid::whose(uuid, fsid::of(&q.volume)),
        FsId::Fat(_) => Whose::Nobodys,
    };
    // A copy has the UUID that its source had, or its source's source: whose that was nobody here can know.
    if whose == Whose::AnotherVolumes && q.source.is_none() {
        return Err(StageError::AnotherVolumes { device: name() });
    }
    let copied = q.source.is_some() && whose != Whose::Ours && matches!(found.id, FsId::Uuid(_));
    let identify = copied && !q.read_only;
    let grow = found.fs != FsType::Vfat && found.size_bytes + SLACK < device.size_bytes;
    // A copy of what was mounted may have a journal to replay, whatever its flags say.
    let due = (!found.clean || identify) && !q.read_only;
    let check = match q.care.fsck {
        Fsck::Repair => Some(Check::Repair),
        Fsck::Check => Some(Check::Look),
        Fsck::None => None,
    };
    let check = check.filter(|_| due);
    Ok(Plan { fs: found.fs, format: false, check, identify, grow })
}

/// A blank disk is formatted, if it is the volume's own and may be written to.
fn blank(device: &Device, q: &Stage, fs: Option<FsType>) -> Result<Plan, StageError> {
    crypt::unused(device, q)?;
    let fs = fs.unwrap_or_default();
    Ok(Plan { fs, format: true, check: None, identify: false, grow: false })
}

/// NodeUnstageVolume: success only when nothing is mounted at the path and nobody on this machine holds the disk.
pub(crate) fn unstage(host: &impl Host, volume: &VolumeId, staging: &Path) -> Result<(), LeaveError> {
    host.unmount(staging)?;
    // A volume whose disk is not here (any more) is held by nobody here.
    let Some(disk) = volume.disk() else { return Ok(()) };
    if let Some(mapping) = host.luks().mapping(&disk)? {
        if host.in_use(&mapping.device)? {
            return Err(held(&mapping.device, &host.mounts()?));
        }
        host.luks().close(&mapping)?;
    }
    for device in host.devices(&disk.serials())? {
        if host.in_use(&device)? {
            return Err(held(&device, &host.mounts()?));
        }
    }
    Ok(())
}

fn held(device: &Device, table: &MountTable) -> LeaveError {
    let mounts = table.of((device.major, device.minor)).map(|m| m.target.display().to_string());
    let mounts: Vec<String> = mounts.collect();
    let mounts = if mounts.is_empty() { "no path seen here".to_owned() } else { mounts.join(", ") };
    LeaveError::Held { device: device.name.clone(), mounts }
}

#[cfg(test)]
pub(crate) mod tests;
