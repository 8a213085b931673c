//! A volume capability, parsed once: how a volume is accessed and in which mode.

use proto::csi::v1 as pb;

use crate::driver::MAX_FIELD_BYTES;
use crate::field::{BadField, text};
use crate::volume::FsType;

/// How a volume is handed to a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// As a block device file; never formatted, never looked into.
    Block,
    /// As a directory with a file system.
    Mount {
        /// The file system asked for; `None` lets the volume context or the default decide.
        fs: Option<FsType>,
        /// Mount options in the request's order, e.g. `noatime`.
        flags: Vec<String>,
    },
}

/// The access modes that a disk on one node can offer (the guide: ReadWriteOnce).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Writers on one node; several targets may share it (ReadWriteOnce).
    Writer,
    /// Readers on one node.
    Reader,
    /// Exactly one target may write (ReadWriteOncePod).
    SingleWriter,
    /// Several targets of one node may write.
    MultiWriter,
}

/// One parsed capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// Block or mount.
    pub access: Access,
    /// The mode.
    pub mode: Mode,
}

impl Capability {
    /// Takes a capability found in `field`. A missing or unknown part is a bad field; so is a mode that would need more
    /// than one node, since a cloud disk is attached to one machine.
    pub fn parse(field: &str, value: Option<pb::VolumeCapability>) -> Result<Self, BadField> {
        use pb::volume_capability::{AccessType, access_mode};
        let value = value.ok_or_else(|| BadField::missing(field))?;
        let access = match value.access_type {
            None => return Err(BadField::missing(format!("{field}.access_type"))),
            Some(AccessType::Block(_)) => Access::Block,
            Some(AccessType::Mount(mount)) => parse_mount(field, mount)?,
        };
        let mode_field = format!("{field}.access_mode.mode");
        let number = value.access_mode.ok_or_else(|| BadField::missing(&mode_field))?.mode;
        let mode = match access_mode::Mode::try_from(number) {
            Ok(access_mode::Mode::SingleNodeWriter) => Mode::Writer,
            Ok(access_mode::Mode::SingleNodeReaderOnly) => Mode::Reader,
            Ok(access_mode::Mode::SingleNodeSingleWriter) => Mode::SingleWriter,
            Ok(access_mode::Mode::SingleNodeMultiWriter) => Mode::MultiWriter,
            Ok(other) => return Err(BadField::new(mode_field, other.as_str_name(), "a SINGLE_NODE_* mode")),
            Err(_) => return Err(BadField::new(mode_field, number, "a SINGLE_NODE_* mode")),
        };
        Ok(Self { access, mode })
    }

    /// Takes the capabilities of a CreateVolume or ValidateVolumeCapabilities request: at least one, and not block and
    /// mount of two file systems at once (a disk has one content).
    pub fn parse_all(field: &str, values: Vec<pb::VolumeCapability>) -> Result<Vec<Self>, BadField> {
        if values.is_empty() {
            return Err(BadField::missing(field));
        }
        let parse = |(i, value)| Self::parse(&format!("{field}[{i}]"), Some(value));
        let parsed: Vec<Self> = values.into_iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        let mut wanted = parsed.iter().filter_map(Self::fs);
        let first = wanted.next();
        if let Some(second) = wanted.find(|fs| Some(*fs) != first) {
            return Err(BadField::new(
                format!("{field}.mount.fs_type"),
                second,
                "one file system for all capabilities",
            ));
        }
        Ok(parsed)
    }

    /// The file system the capability asks for by name.
    pub fn fs(&self) -> Option<FsType> {
        match &self.access {
            Access::Block => None,
            Access::Mount { fs, .. } => *fs,
        }
    }

    /// Whether the workload may only read.
    pub fn read_only(&self) -> bool {
        self.mode == Mode::Reader
    }
}

fn parse_mount(field: &str, mount: pb::volume_capability::MountVolume) -> Result<Access, BadField> {
    let fs = match mount.fs_type.as_str() {
        "" => None,
        name => Some(FsType::parse(&format!("{field}.mount.fs_type"), name)?),
    };
    if !mount.volume_mount_group.is_empty() {
        let allowed =
            "nothing: the driver does not advertise VOLUME_MOUNT_GROUP, fsGroup is the kubelet's work";
        return Err(BadField::new(
            format!("{field}.mount.volume_mount_group"),
            mount.volume_mount_group,
            allowed,
        ));
    }
    let option = |flag: String| text(&format!("{field}.mount.mount_flags"), flag, MAX_FIELD_BYTES);
    let flags = mount.mount_flags.into_iter().map(option).collect::<Result<_, _>>()?;
    Ok(Access::Mount { fs, flags })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pb::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume, access_mode};

    fn capability(access: AccessType, mode: i32) -> pb::VolumeCapability {
        pb::VolumeCapability { access_mode: Some(AccessMode { mode }), access_type: Some(access) }
    }

    fn mount(fs: &str) -> AccessType {
        AccessType::Mount(MountVolume { fs_type: fs.into(), ..Default::default() })
    }

    #[test]
    fn a_mode_for_many_nodes_is_refused_by_name() {
        let many = capability(mount("ext4"), access_mode::Mode::MultiNodeMultiWriter.into());
        let e = Capability::parse("volume_capability", Some(many)).unwrap_err();
        assert_eq!(e.field, "volume_capability.access_mode.mode");
        assert_eq!(e.value, "MULTI_NODE_MULTI_WRITER");
        assert!(Capability::parse("volume_capability", Some(capability(mount(""), 99))).is_err());
        assert!(Capability::parse("volume_capability", None).is_err());
    }

    #[test]
    fn two_file_systems_on_one_disk_are_a_contradiction() {
        let mode = access_mode::Mode::SingleNodeWriter.into();
        let both = vec![capability(mount("ext4"), mode), capability(mount("xfs"), mode)];
        assert!(Capability::parse_all("volume_capabilities", both).is_err());
        let fine = vec![capability(mount(""), mode), capability(AccessType::Block(BlockVolume {}), mode)];
        assert_eq!(Capability::parse_all("volume_capabilities", fine).unwrap().len(), 2);
        assert!(Capability::parse_all("volume_capabilities", vec![]).is_err());
    }

    #[test]
    fn an_unknown_file_system_is_refused_with_the_list() {
        let ntfs = capability(mount("ntfs"), access_mode::Mode::SingleNodeWriter.into());
        let e = Capability::parse("c", Some(ntfs)).unwrap_err();
        assert_eq!(
            e.to_string(),
            "c.mount.fs_type: \"ntfs\" is not allowed; allowed: ext4, ext3, xfs or vfat"
        );
    }
}
