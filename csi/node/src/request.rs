//! CSI requests, parsed once into what the operations work on.

use std::path::{Component, PathBuf};

use eck_csi::capability::{Access, Capability, Mode};
use eck_csi::care::{Care, Discard, Encryption};
use eck_csi::context::{PublishContext, VolumeContext};
use eck_csi::driver::MAX_PATH_BYTES;
use eck_csi::field::{BadField, text};
use eck_csi::operations::{Request, Rule};
use eck_csi::volume::{DiskId, FsType, VolumeId};
use proto::csi::v1 as pb;

use crate::health::Question;
use crate::host::Depth;
use crate::options;

mod keys;

pub use keys::Keys;

/// How the volume is to be staged or published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// As a block device.
    Block,
    /// As a file system.
    Mount {
        /// Which; `None` if nobody said: then a blank disk gets the default and an adopted one keeps what it has.
        fs: Option<FsType>,
        /// Options as `mount -o` takes them.
        options: Vec<String>,
    },
}

/// NodeStageVolume. No `Debug`: it holds keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Stage {
    /// The volume.
    pub volume: VolumeId,
    /// Which disk to look for.
    pub publish: PublishContext,
    /// Where it is staged.
    pub staging: PathBuf,
    /// How.
    pub want: Want,
    /// The workload may only read.
    pub read_only: bool,
    /// This driver ordered the disk itself, empty.
    pub provisioned: bool,
    /// What the disk's content was made from.
    pub source: Option<String>,
    /// How the file system is made and kept.
    pub care: Care,
    /// What opens the disk; `None` if it is not encrypted.
    pub keys: Option<Keys>,
}

impl Stage {
    /// How much of the disk must read as zero before it counts as blank. An adopted one may hold anything anywhere, so all of it.
    pub(crate) fn depth(&self) -> Depth {
        if self.provisioned { Depth::Sampled } else { Depth::Whole }
    }
}

/// NodePublishVolume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The volume.
    pub volume: VolumeId,
    /// Which disk it is.
    pub publish: PublishContext,
    /// Where it was staged.
    pub staging: PathBuf,
    /// Where the workload sees it.
    pub target: PathBuf,
    /// How.
    pub want: Want,
    /// The workload may only read.
    pub read_only: bool,
    /// No second target may have it at the same time (ReadWriteOncePod).
    pub alone: bool,
    /// The disk is encrypted.
    pub encrypted: bool,
}

/// NodeExpandVolume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expand {
    /// The disk.
    pub disk: DiskId,
    /// Bytes that the device must have; 0 if not said.
    pub bytes: u64,
    /// Where the volume is mounted, or its device file stands.
    pub path: PathBuf,
}

/// Any operation that changes something, as the table of running operations compares them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Stage(Box<Stage>),
    Unstage(VolumeId, PathBuf),
    Publish(Box<Publish>),
    Unpublish(VolumeId, PathBuf),
    Expand(VolumeId, Expand),
    /// From this byte on, a part of what fstrim does: so long it may keep an unstage waiting.
    Trim(DiskId, u64),
}

impl Request for Ask {
    fn name(&self) -> &'static str {
        match self {
            Self::Stage(_) => "NodeStageVolume",
            Self::Unstage(..) => "NodeUnstageVolume",
            Self::Publish(_) => "NodePublishVolume",
            Self::Unpublish(..) => "NodeUnpublishVolume",
            Self::Expand(..) => "NodeExpandVolume",
            Self::Trim(..) => "trim",
        }
    }

    fn rule(&self, running: &Self) -> Rule {
        match (self, running) {
            // To be staged in two ways at once is the caller's contradiction.
            (Self::Stage(_), Self::Stage(_)) => Rule::Abort,
            // Several pods of one node share a volume; what they ask for follows each other.
            _ => Rule::Wait,
        }
    }
}

/// A field that cannot be taken, or something the spec has an own code for.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A field.
    #[error(transparent)]
    Field(#[from] BadField),
    /// No such volume can be here.
    #[error("there is no volume {0} on this node")]
    NoVolume(String),
    /// The volume is to be published without having been staged.
    #[error("staging_target_path is missing: the volume must be staged before it is published")]
    NotStaged,
}

/// Takes an absolute path without `..`; what stands there is looked at later, without following symlinks.
pub(crate) fn path(field: &str, value: String) -> Result<PathBuf, BadField> {
    let value = text(field, value, MAX_PATH_BYTES)?;
    let path = PathBuf::from(&value);
    let plain = path.is_absolute() && path.components().all(|c| !matches!(c, Component::ParentDir));
    // Joined anew, so that `//` and a `/` at the end mean what the mount table shows.
    let joined: PathBuf = path.components().collect();
    if plain && joined.parent().is_some() {
        return Ok(joined);
    }
    Err(BadField::new(field, value, "an absolute path below '/' without '..'"))
}

/// Access, file system, options and read-only, as capability and volume context say together.
fn want(capability: Capability, context: &VolumeContext) -> Result<(Want, bool), BadField> {
    let read_only = capability.read_only();
    match capability.access {
        Access::Block => Ok((Want::Block, read_only)),
        Access::Mount { fs, flags } => {
            let options = options::parse("volume_capability.mount.mount_flags", flags)?;
            let read_only = read_only || options::read_only(&options);
            // The provisioner writes its own default into the PV; what the class says is more than a default.
            let fs = context.fs.or(fs);
            context.care.fits("volume_context", fs.unwrap_or_default())?;
            Ok((Want::Mount { fs, options }, read_only))
        }
    }
}

/// Takes NodeStageVolume.
pub fn stage(q: pb::NodeStageVolumeRequest) -> Result<Stage, Refused> {
    let volume = VolumeId::parse(q.volume_id)?;
    let staging = path("staging_target_path", q.staging_target_path)?;
    let capability = Capability::parse("volume_capability", q.volume_capability)?;
    let context = VolumeContext::parse(&q.volume_context)?;
    let (mut want, read_only) = want(capability, &context)?;
    if let Want::Mount { options, .. } = &mut want
        && context.care.discard == Discard::Mount
        && !options.iter().any(|option| option == "discard" || option == "nodiscard")
    {
        options.push("discard".to_owned());
    }
    let publish = contexts(&volume, &q.publish_context)?;
    let read_only = read_only || publish.readonly;
    let VolumeContext { provisioned, source, care, .. } = context;
    let keys = keys::parse(care.encryption, &q.secrets)?;
    Ok(Stage { volume, publish, staging, want, read_only, provisioned, source, care, keys })
}

/// Takes NodePublishVolume.
pub fn publish(q: pb::NodePublishVolumeRequest) -> Result<Publish, Refused> {
    let volume = VolumeId::parse(q.volume_id)?;
    let target = path("target_path", q.target_path)?;
    let capability = Capability::parse("volume_capability", q.volume_capability)?;
    let alone = capability.mode == Mode::SingleWriter;
    let context = VolumeContext::parse(&q.volume_context)?;
    let (want, read_only) = want(capability, &context)?;
    if q.staging_target_path.is_empty() {
        return Err(Refused::NotStaged);
    }
    let staging = path("staging_target_path", q.staging_target_path)?;
    let publish = contexts(&volume, &q.publish_context)?;
    let read_only = read_only || q.readonly || publish.readonly;
    let encrypted = context.care.encryption != Encryption::None;
    Ok(Publish { volume, publish, staging, target, want, read_only, alone, encrypted })
}

/// The publish context, which must be about this volume.
fn contexts(
    volume: &VolumeId,
    publish: &std::collections::HashMap<String, String>,
) -> Result<PublishContext, Refused> {
    let disk = volume.disk().ok_or_else(|| Refused::NoVolume(volume.to_string()))?;
    let publish = PublishContext::parse(publish)?;
    if publish.disk != disk {
        let allowed = format!("the disk of volume_id, {volume}");
        return Err(BadField::new("publish_context", &publish.disk, allowed).into());
    }
    Ok(publish)
}

/// A volume and the path at which it is to be no more.
pub fn leave(volume: String, field: &str, target: String) -> Result<(VolumeId, PathBuf), BadField> {
    Ok((VolumeId::parse(volume)?, path(field, target)?))
}

/// A volume that must be at a path here: an id or a path of a form that nothing can have is "not found", as the spec has it.
pub fn at(volume: String, value: String) -> Result<(VolumeId, DiskId, PathBuf), Refused> {
    let volume = VolumeId::parse(volume)?;
    if value.is_empty() {
        return Err(BadField::missing("volume_path").into());
    }
    let unknown = || Refused::NoVolume(volume.to_string());
    let disk = volume.disk().ok_or_else(unknown)?;
    if !value.starts_with('/') {
        return Err(unknown());
    }
    let path = path("volume_path", value)?;
    Ok((volume, disk, path))
}

pub(crate) fn health(q: pb::NodeGetVolumeHealthRequest) -> Result<Question, Refused> {
    let volume = VolumeId::parse(q.volume_id)?;
    let place = |field: &str, value: String| {
        if value.is_empty() { Ok(None) } else { path(field, value).map(Some) }
    };
    let published = place("volume_publish_path", q.volume_publish_path)?;
    let staged = place("staging_target_path", q.staging_target_path)?;
    let disk = volume.disk().ok_or_else(|| Refused::NoVolume(volume.to_string()))?;
    Ok(Question { volume, disk, published, staged })
}

/// Takes NodeExpandVolume.
pub fn expand(q: pb::NodeExpandVolumeRequest) -> Result<(VolumeId, Expand), Refused> {
    let range = q.capacity_range.unwrap_or_default();
    for (field, bytes) in [("required_bytes", range.required_bytes), ("limit_bytes", range.limit_bytes)] {
        if bytes < 0 {
            let field = format!("capacity_range.{field}");
            return Err(BadField::new(field, bytes, "0 (not given) or a positive number of bytes").into());
        }
    }
    let bytes = range.required_bytes.unsigned_abs();
    if range.limit_bytes != 0 && bytes > range.limit_bytes.unsigned_abs() {
        let allowed = format!("at most limit_bytes, {}", range.limit_bytes);
        return Err(BadField::new("capacity_range.required_bytes", bytes, allowed).into());
    }
    if let Some(capability) = q.volume_capability {
        Capability::parse("volume_capability", Some(capability))?;
    }
    let (volume, disk, path) = at(q.volume_id, q.volume_path)?;
    Ok((volume, Expand { disk, bytes, path }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_plain() {
        let taken = path("target_path", "/var//lib/盘 1/x/".into()).unwrap();
        assert_eq!(taken, PathBuf::from("/var/lib/盘 1/x"));
        for bad in ["", "some/path", "/", "/a/../b", "/a\nb"] {
            assert_eq!(path("target_path", bad.into()).unwrap_err().field, "target_path", "{bad:?}");
        }
        assert!(path("target_path", format!("/{}", "x".repeat(MAX_PATH_BYTES))).is_err());
    }

    #[test]
    fn a_publish_context_of_another_disk_is_refused() {
        let disk = |id: &str| DiskId::parse(id).unwrap();
        let volume = VolumeId::parse("cd-a".into()).unwrap();
        let other = PublishContext::new(disk("cd-b"), 1 << 30).to_map();
        assert!(matches!(contexts(&volume, &other), Err(Refused::Field(f)) if f.allowed.contains("cd-a")));
        let unknown = VolumeId::parse("fake-vol".into()).unwrap();
        assert!(matches!(contexts(&unknown, &other), Err(Refused::NoVolume(_))));
        assert!(matches!(at("cd-a".into(), "some/path".into()), Err(Refused::NoVolume(_))));
        assert!(matches!(at("cd-a".into(), String::new()), Err(Refused::Field(_))));
    }
}
