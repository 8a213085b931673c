//! The fields that several requests have, parsed: paths, the publish context, how a volume is accessed.

use std::collections::HashMap;
use std::path::{Component, PathBuf};

use eck_csi::capability::{Access, Capability};
use eck_csi::context::{PublishContext, VolumeContext};
use eck_csi::driver::MAX_PATH_BYTES;
use eck_csi::field::{BadField, text};
use eck_csi::volume::{DiskId, FsType, VolumeId};
use serve::code::GrpcCode;
use tonic::Code;

use crate::options;

/// How the volume is to be staged or published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessType {
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

/// A field that cannot be taken, or something the spec has an own code for.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
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

impl GrpcCode for RequestError {
    fn code(&self) -> Code {
        match self {
            Self::Field(field) => field.code(),
            Self::NoVolume(_) => Code::NotFound,
            // The spec's code for a missing staging path.
            Self::NotStaged => Code::FailedPrecondition,
        }
    }
}

serve::into_status!(RequestError);

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

/// Access type, file system, options and read-only, as capability and volume context say together.
pub(crate) fn access(
    capability: Capability,
    context: &VolumeContext,
) -> Result<(AccessType, bool), BadField> {
    let read_only = capability.read_only();
    match capability.access {
        Access::Block => Ok((AccessType::Block, read_only)),
        Access::Mount { fs, flags } => {
            let options = options::parse("volume_capability.mount.mount_flags", flags)?;
            let read_only = read_only || options::read_only(&options);
            // The provisioner writes its own default into the PV; what the class says is more than a default.
            let fs = context.fs.or(fs);
            context.options.fits("volume_context", fs.unwrap_or_default())?;
            Ok((AccessType::Mount { fs, options }, read_only))
        }
    }
}

/// The publish context, which must be about this volume.
pub(crate) fn publish_context(
    volume: &VolumeId,
    publish: &HashMap<String, String>,
) -> Result<PublishContext, RequestError> {
    let disk = volume.disk().ok_or_else(|| RequestError::NoVolume(volume.to_string()))?;
    let publish = PublishContext::parse(publish)?;
    if publish.disk != disk {
        let allowed = format!("the disk of volume_id, {volume}");
        return Err(BadField::new("publish_context", &publish.disk, allowed).into());
    }
    Ok(publish)
}

/// A volume that must be at a path here: an id or a path of a form that nothing can have is "not found", as the spec has it.
pub(crate) fn volume_at(volume: String, value: String) -> Result<(VolumeId, DiskId, PathBuf), RequestError> {
    let volume = VolumeId::parse(volume)?;
    if value.is_empty() {
        return Err(BadField::missing("volume_path").into());
    }
    let unknown = || RequestError::NoVolume(volume.to_string());
    let disk = volume.disk().ok_or_else(unknown)?;
    if !value.starts_with('/') {
        return Err(unknown());
    }
    let path = path("volume_path", value)?;
    Ok((volume, disk, path))
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
        assert!(
            matches!(publish_context(&volume, &other), Err(RequestError::Field(f)) if f.allowed.contains("cd-a"))
        );
        let unknown = VolumeId::parse("fake/vol".into()).unwrap();
        assert!(matches!(publish_context(&unknown, &other), Err(RequestError::NoVolume(_))));
        assert!(matches!(volume_at("cd-a".into(), "some/path".into()), Err(RequestError::NoVolume(_))));
        assert!(matches!(volume_at("cd-a".into(), String::new()), Err(RequestError::Field(_))));
    }
}
