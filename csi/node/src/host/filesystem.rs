//! Making, checking and growing file systems: command lines, exit codes, and the proof that it happened.

use std::path::Path;

use eck_csi::volume::FsType;
use eck_csi::volume_options::{MkfsOption, MkfsOptions};
use uuid::Uuid;

use super::command::{self, ToolExit};
use super::content::{BLOCK, Content, Depth, Formatted, FsId, ReadAt as _};
use super::device::Device;
use super::error::{DeviceError, FsError, HostError};
use super::opened::{self, Opened};
use super::sysfs::Sysfs;

/// How a file system is made: what NodeStage decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// Which file system.
    pub fs: FsType,
    /// Its UUID, derived from the volume id; see `fsid`.
    pub uuid: Uuid,
    /// Its serial number, if it is a FAT.
    pub fat: u32,
    /// What the StorageClass says of it.
    pub options: MkfsOptions,
    /// How much of the device must read as zero before it counts as blank.
    pub depth: Depth,
}

/// What a check of a file system may do to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Repair what can be repaired without loss.
    Repair,
    /// Replay the journal, as the kernel would, and write nothing else.
    ReadOnly,
}

/// A file system counts as filling its device if it lacks no more than this many bytes: mkfs and resize2fs leave out a last
/// block group that would be too small to be of use (e2fsprogs, at most 8 MiB here), xfs_growfs a last group of 64 blocks.
pub const SLACK: u64 = 16 << 20;

fn run_tool(program: &'static str, device: &Device, args: &[&str]) -> Result<ToolExit, FsError> {
    let path = device.path.to_string_lossy();
    let args = [args, &[path.as_ref()]].concat();
    command::run(program, &args).map_err(|source| FsError::NoTool { program, source })
}

fn tool_error(program: &'static str, device: &Device, ended: ToolExit) -> FsError {
    FsError::Tool { program, device: device.name.clone(), status: ended.status, stderr: ended.output_tail }
}

/// See [`super::machine::Filesystems::format`].
pub(super) fn format(sysfs: &Sysfs, device: &Device, format: &Format) -> Result<(), HostError> {
    // Open until the end: so long no other disk can get this one's number or name.
    let opened = Opened::direct(device)?;
    let now = sysfs.recheck(device)?;
    if opened::in_use(&now)? {
        return Err(FsError::InUse { device: device.name.clone() }.into());
    }
    let content = opened.probe(&now, format.depth)?;
    if content != Content::Blank {
        let found = content.refusal().what;
        return Err(FsError::NotBlank { device: device.name.clone(), found }.into());
    }
    sysfs.recheck(device)?;
    let program = run_mkfs(&now, format)?;
    sysfs.recheck(device)?;
    let unproven = |what: String| FsError::Unproven { program, device: device.name.clone(), what }.into();
    let content = opened.probe(&now, Depth::Sampled)?;
    match content {
        Content::Formatted(Formatted { fs, id, .. }) if fs == format.fs && id == expected_id(format) => {
            Ok(())
        }
        Content::Formatted(other) => Err(unproven(format!("shows {other:?}"))),
        Content::Blank => Err(unproven("is still blank".to_owned())),
        Content::Luks2 | Content::Begun(_) | Content::Foreign(_) => {
            Err(unproven(format!("shows {}", content.refusal().what)))
        }
    }
}

fn expected_id(format: &Format) -> FsId {
    match format.fs {
        FsType::Vfat => FsId::Fat(format.fat),
        FsType::Ext4 | FsType::Ext3 | FsType::Xfs => FsId::Uuid(format.uuid),
    }
}

/// mkfs, without a force flag: what it refuses, stays. The device is known to be blank, so nothing is discarded first.
fn run_mkfs(device: &Device, format: &Format) -> Result<&'static str, FsError> {
    let uuid = format.uuid.to_string();
    let (program, fixed): (&'static str, Vec<String>) = match format.fs {
        FsType::Ext4 | FsType::Ext3 => {
            let program = if format.fs == FsType::Ext4 { "mkfs.ext4" } else { "mkfs.ext3" };
            (program, ["-q", "-E", "nodiscard", "-m", "0", "-U", &uuid].map(str::to_owned).into())
        }
        FsType::Xfs => ("mkfs.xfs", vec!["-q".into(), "-K".into(), "-m".into(), format!("uuid={uuid}")]),
        FsType::Vfat => ("mkfs.vfat", vec!["-i".into(), format!("{:08x}", format.fat)]),
    };
    let chosen = format.options.iter().flat_map(|(option, value)| mkfs_argument(format.fs, option, value));
    let args: Vec<String> = fixed.into_iter().chain(chosen).collect();
    let ended = run_tool(program, device, &args.iter().map(String::as_str).collect::<Vec<_>>())?;
    if ended.code == Some(0) { Ok(program) } else { Err(tool_error(program, device, ended)) }
}

/// An option as the file system's own mkfs spells it. The last word counts: `-m 0` above is a default.
fn mkfs_argument(fs: FsType, option: MkfsOption, value: u64) -> [String; 2] {
    let ext = matches!(fs, FsType::Ext4 | FsType::Ext3);
    let (flag, value) = match option {
        MkfsOption::BlockSize if ext => ("-b", value.to_string()),
        MkfsOption::BlockSize => ("-b", format!("size={value}")),
        MkfsOption::InodeSize if ext => ("-I", value.to_string()),
        MkfsOption::InodeSize => ("-i", format!("size={value}")),
        MkfsOption::BytesPerInode => ("-i", value.to_string()),
        MkfsOption::ReservedPercent => ("-m", value.to_string()),
        MkfsOption::InodePercent => ("-i", format!("maxpct={value}")),
        MkfsOption::Reflink => ("-m", format!("reflink={value}")),
        MkfsOption::Bigtime => ("-m", format!("bigtime={value}")),
        // In sectors, of 512 bytes on every disk of the cloud.
        MkfsOption::ClusterSize => ("-s", (value / 512).to_string()),
    };
    [flag.to_owned(), value]
}

/// See [`super::machine::Filesystems::check`].
pub(super) fn check(device: &Device, fs: FsType, check: Check) -> Result<(), FsError> {
    match (fs, check) {
        // Preen: repairs what is safe to repair, gives up on the rest.
        (FsType::Ext4 | FsType::Ext3, Check::Repair) => repair(device, fs, "e2fsck", &["-p"]),
        (FsType::Vfat, Check::Repair) => repair(device, fs, "fsck.vfat", &["-a"]),
        // The kernel replays the log at mount; xfs_repair is a decision for a person.
        (FsType::Xfs, Check::Repair) => Ok(()),
        (FsType::Ext4 | FsType::Ext3, Check::ReadOnly) => {
            // A journal that is not replayed would look like damage.
            repair(device, fs, "e2fsck", &["-E", "journal_only", "-p"])?;
            check_read_only(device, fs, "e2fsck", &["-n"])
        }
        (FsType::Vfat, Check::ReadOnly) => check_read_only(device, fs, "fsck.vfat", &["-n"]),
        (FsType::Xfs, Check::ReadOnly) => check_read_only(device, fs, "xfs_repair", &["-n"]),
    }
}

/// A check that repairs, by the exit codes of fsck(8).
fn repair(device: &Device, fs: FsType, program: &'static str, args: &[&str]) -> Result<(), FsError> {
    let ended = run_tool(program, device, args)?;
    match ended.code {
        // 0 clean, 1 repaired, 2 repaired and a reboot asked for, which is about a mounted root (fsck(8)).
        Some(0..=2) => Ok(()),
        // 4: errors left uncorrected.
        Some(code) if code & 4 != 0 && code < 8 => {
            Err(FsError::Damaged { device: device.name.clone(), fs, report: ended.output_tail })
        }
        _ => Err(tool_error(program, device, ended)),
    }
}

/// A check that writes nothing: whatever it finds is found.
fn check_read_only(device: &Device, fs: FsType, program: &'static str, args: &[&str]) -> Result<(), FsError> {
    let ended = run_tool(program, device, args)?;
    match ended.code {
        Some(0) => Ok(()),
        // e2fsck: 4, errors left as they are. fsck.vfat and xfs_repair: 1, errors found (their manual pages).
        Some(1 | 4) => Err(FsError::Unsound { device: device.name.clone(), fs, report: ended.output_tail }),
        _ => Err(tool_error(program, device, ended)),
    }
}

/// See [`super::machine::Filesystems::trim`].
pub(super) fn trim(at: &Path, from: u64, bytes: u64) -> Result<(), FsError> {
    let (from, bytes, path) = (from.to_string(), bytes.to_string(), at.to_string_lossy());
    let program = "fstrim";
    let ended = command::run(program, &["--offset", &from, "--length", &bytes, &path])
        .map_err(|source| FsError::NoTool { program, source })?;
    if ended.code == Some(0) {
        return Ok(());
    }
    Err(FsError::Tool { program, device: path.into_owned(), status: ended.status, stderr: ended.output_tail })
}

/// See [`super::machine::Filesystems::set_uuid`].
pub(super) fn set_uuid(sysfs: &Sysfs, device: &Device, fs: FsType, uuid: Uuid) -> Result<bool, HostError> {
    // Open until the end, as in `format`.
    let opened = Opened::direct(device)?;
    let now = sysfs.recheck(device)?;
    if opened::in_use(&now)? {
        return Err(FsError::InUse { device: device.name.clone() }.into());
    }
    let text = uuid.to_string();
    let command = format!("uuid {text}");
    let (program, args): (&'static str, &[&str]) = match fs {
        // With the seed of the checksums kept apart, a new UUID changes the superblocks alone; without, tune2fs would write
        // every inode anew, and a machine that dies meanwhile would leave a damaged file system.
        FsType::Ext4 => ("tune2fs", &["-O", "metadata_csum_seed", "-U", &text]),
        FsType::Ext3 => ("tune2fs", &["-U", &text]),
        // What `xfs_admin -U` runs, which is a shell script.
        FsType::Xfs => ("xfs_db", &["-x", "-p", "xfs_admin", "-c", &command]),
        FsType::Vfat => return Ok(false),
    };
    // Its exit status is no proof: xfs_db ends with 0 when it refuses a log that is not replayed.
    let ended = run_tool(program, &now, args)?;
    sysfs.recheck(device)?;
    if let Content::Formatted(found) = opened.probe(&now, Depth::Sampled)?
        && found.fs == fs
        && found.clean
    {
        return Ok(found.id == FsId::Uuid(uuid));
    }
    Err(tool_error(program, device, ended).into())
}

/// See [`super::machine::Filesystems::grow`].
pub(super) fn grow(device: &Device, fs: FsType, mounted_at: &Path) -> Result<(), HostError> {
    let program: &'static str = match fs {
        FsType::Ext4 | FsType::Ext3 => "resize2fs",
        FsType::Xfs => "xfs_growfs",
        FsType::Vfat => return Err(FsError::CannotGrow { device: device.name.clone(), fs }.into()),
    };
    if filesystem_bytes(device, fs, mounted_at)? + SLACK >= device.size_bytes {
        return Ok(());
    }
    let ended = match fs {
        FsType::Xfs => command::run(program, &[&mounted_at.to_string_lossy()])
            .map_err(|source| FsError::NoTool { program, source })?,
        FsType::Ext4 | FsType::Ext3 | FsType::Vfat => run_tool(program, device, &[])?,
    };
    if ended.code != Some(0) {
        return Err(tool_error(program, device, ended).into());
    }
    let bytes = filesystem_bytes(device, fs, mounted_at)?;
    if bytes + SLACK >= device.size_bytes {
        return Ok(());
    }
    let what = format!("has {} bytes and its file system spans {bytes}", device.size_bytes);
    Err(FsError::Unproven { program, device: device.name.clone(), what }.into())
}

/// Bytes that a mounted file system spans.
fn filesystem_bytes(device: &Device, fs: FsType, mounted_at: &Path) -> Result<u64, DeviceError> {
    if fs == FsType::Xfs {
        // XFS keeps its superblock in memory; the kernel tells its data blocks, which lack the log.
        let stats = nix::sys::statvfs::statvfs(mounted_at).map_err(|errno| {
            let what = format!("statvfs {}", mounted_at.display());
            DeviceError::Io { what, source: errno.into() }
        })?;
        return Ok(stats.blocks() * stats.fragment_size() + xfs_log(device)?);
    }
    let content = Opened::cached(device)?.probe(device, Depth::Sampled)?;
    if let Content::Formatted(found) = content {
        return Ok(found.size_bytes);
    }
    let what = format!("{content:?} where a mounted {fs} should be");
    Err(DeviceError::Changed { device: device.name.clone(), what })
}

/// Bytes of an XFS's internal log. Its place in the superblock never changes, so an old copy on the disk will do.
fn xfs_log(device: &Device) -> Result<u64, DeviceError> {
    let mut block = [0; BLOCK as usize];
    let read = Opened::cached(device)?.read_exact_at(&mut block, 0);
    read.map_err(|source| DeviceError::Io { what: format!("read {}", device.path.display()), source })?;
    let number =
        |at: usize| u64::from(u32::from_be_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]));
    // xfs_dsb (fs/xfs/libxfs/xfs_format.h): sb_blocksize at 4, sb_logstart at 48, 0 for an external log, sb_logblocks at 96.
    let internal = number(48) != 0 || number(52) != 0;
    Ok(if internal { number(4) * number(96) } else { 0 })
}
