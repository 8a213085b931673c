//! The two maps that travel from the controller to the node: the volume context (kept in the PV) and the publish context
//! (made by each attach). Unknown keys are left alone: the kubelet and the provisioner add their own.

use std::collections::HashMap;

use crate::driver::{DISK_TYPE_DEFAULT, MAX_FIELD_BYTES};
use crate::field::{BadField, map, text};
use crate::volume::{DiskId, FsType};
use crate::volume_options::VolumeOptions;

const DISK_TYPE: &str = "diskType";
const FS_TYPE: &str = "fsType";
const ORIGIN: &str = "eck.csi.k8s.io/origin";
const PROVISIONED: &str = "provisioned";
/// The id of the snapshot or volume that the disk was made from. Both halves know it by this name.
const CONTENT_SOURCE: &str = "eck.csi.k8s.io/content-source";
const DISK: &str = "eck.csi.k8s.io/disk";
const SERIALS: &str = "eck.csi.k8s.io/serials";
const SIZE: &str = "eck.csi.k8s.io/size-bytes";
const READONLY: &str = "eck.csi.k8s.io/readonly";

/// What is known of a volume for its whole life. A PV written by hand for an adopted disk carries `diskType: cloud` only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeContext {
    /// The StorageClass's disk type as it was written.
    pub disk_type: String,
    /// The StorageClass's file system.
    pub fs: Option<FsType>,
    /// True if this driver ordered the disk itself, empty: then its content can only come from this driver's own mkfs and
    /// the workloads. An adopted disk may hold anything, so the node reads all of it before it calls it blank.
    pub provisioned: bool,
    /// The snapshot or volume whose content the disk began with: it carries the source's file system, UUID and all, and is
    /// never formatted.
    pub source: Option<String>,
    /// How the class wants its file system made and kept.
    pub options: VolumeOptions,
}

impl VolumeContext {
    /// Reads the field `volume_context`.
    pub fn parse(values: &HashMap<String, String>) -> Result<Self, BadField> {
        map("volume_context", values)?;
        let fs = values.get(FS_TYPE).map(|fs| FsType::parse("volume_context.fsType", fs)).transpose()?;
        let source = values.get(CONTENT_SOURCE).cloned();
        let source = source.map(|id| text(&format!("volume_context.{CONTENT_SOURCE}"), id, MAX_FIELD_BYTES));
        Ok(Self {
            disk_type: values.get(DISK_TYPE).map_or(DISK_TYPE_DEFAULT, String::as_str).to_owned(),
            fs,
            provisioned: values.get(ORIGIN).is_some_and(|o| o == PROVISIONED),
            source: source.transpose()?,
            options: VolumeOptions::parse("volume_context", values)?,
        })
    }

    /// The map for CreateVolumeResponse.
    pub fn to_map(&self) -> HashMap<String, String> {
        let mut values = HashMap::from([(DISK_TYPE.to_owned(), self.disk_type.clone())]);
        if let Some(fs) = self.fs {
            values.insert(FS_TYPE.to_owned(), fs.to_string());
        }
        if self.provisioned {
            values.insert(ORIGIN.to_owned(), PROVISIONED.to_owned());
        }
        if let Some(source) = &self.source {
            values.insert(CONTENT_SOURCE.to_owned(), source.clone());
        }
        self.options.add_to(&mut values);
        values
    }
}

/// What an attach tells the node: which disk to look for. This is all that the two halves share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishContext {
    /// The disk.
    pub disk: DiskId,
    /// Serials under which it may appear, each up to 64 bytes.
    pub serials: Vec<String>,
    /// Size of the disk as the cloud tells it, in bytes; the device must not be smaller.
    pub size_bytes: u64,
    /// It is published for reading only.
    pub readonly: bool,
}

impl PublishContext {
    /// For a disk of `size_bytes`, for reading and writing.
    pub fn new(disk: DiskId, size_bytes: u64) -> Self {
        Self { serials: disk.serials(), disk, size_bytes, readonly: false }
    }

    /// Reads the field `publish_context`.
    pub fn parse(values: &HashMap<String, String>) -> Result<Self, BadField> {
        map("publish_context", values)?;
        let get = |key: &str| {
            values
                .get(key)
                .filter(|v| !v.is_empty())
                .ok_or_else(|| BadField::missing(format!("publish_context.{key}")))
        };
        let bad = |key: &str, value: &str, allowed: &str| {
            BadField::new(format!("publish_context.{key}"), value, allowed)
        };
        let disk = get(DISK)?;
        let disk = DiskId::parse(disk).ok_or_else(|| bad(DISK, disk, DiskId::ALLOWED))?;
        let list = get(SERIALS)?;
        let serials: Vec<String> = list.split(',').map(str::to_owned).collect();
        let plain = |s: &String| {
            (1..=64).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        if !serials.iter().all(plain) {
            return Err(bad(
                SERIALS,
                list,
                "serials of letters, digits, '-', '_' and '.', 1 to 64 bytes each, joined by commas",
            ));
        }
        let size = get(SIZE)?;
        let size_bytes = size.parse().ok().filter(|n| *n > 0);
        let size_bytes = size_bytes.ok_or_else(|| bad(SIZE, size, "a positive number of bytes"))?;
        let readonly = match values.get(READONLY).map(String::as_str) {
            None => false,
            Some("true") => true,
            Some(other) => return Err(bad(READONLY, other, "true, or no such key")),
        };
        Ok(Self { disk, serials, size_bytes, readonly })
    }

    /// The map for ControllerPublishVolumeResponse.
    pub fn to_map(&self) -> HashMap<String, String> {
        let mut values = HashMap::from([
            (DISK.to_owned(), self.disk.to_string()),
            (SERIALS.to_owned(), self.serials.join(",")),
            (SIZE.to_owned(), self.size_bytes.to_string()),
        ]);
        if self.readonly {
            values.insert(READONLY.to_owned(), "true".to_owned());
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume_options::Fsck;

    #[test]
    fn both_contexts_survive_the_wire() {
        let disk = DiskId::parse("cd-cfebko79upsq2iuo7lkg").unwrap();
        let publish = PublishContext::new(disk, 20 << 30);
        assert_eq!(PublishContext::parse(&publish.to_map()), Ok(publish.clone()));
        let readonly = PublishContext { readonly: true, ..publish };
        assert_eq!(PublishContext::parse(&readonly.to_map()), Ok(readonly));
        let volume = VolumeContext {
            disk_type: "SSD".into(),
            fs: Some(FsType::Xfs),
            provisioned: true,
            source: Some("snap-1".into()),
            options: VolumeOptions { fsck: Fsck::Check, ..VolumeOptions::default() },
        };
        assert_eq!(VolumeContext::parse(&volume.to_map()), Ok(volume));
    }

    #[test]
    fn a_pv_written_by_hand_is_an_adopted_disk() {
        let adopted = VolumeContext::parse(&HashMap::from([("diskType".into(), "cloud".into())])).unwrap();
        assert_eq!(
            adopted,
            VolumeContext {
                disk_type: "cloud".into(),
                fs: None,
                provisioned: false,
                source: None,
                options: VolumeOptions::default(),
            }
        );
        let empty = HashMap::from([(CONTENT_SOURCE.to_owned(), String::new())]);
        assert!(VolumeContext::parse(&empty).is_err());
        let bad = HashMap::from([("fsType".to_owned(), "ntfs".to_owned())]);
        assert!(VolumeContext::parse(&bad).is_err());
    }

    #[test]
    fn a_publish_context_is_whole_or_refused() {
        let disk = DiskId::parse("cd-cfebko79upsq2iuo7lkg").unwrap();
        let good = PublishContext::new(disk, 20 << 30).to_map();
        for key in good.keys() {
            let mut part = good.clone();
            part.remove(key);
            assert!(PublishContext::parse(&part).unwrap_err().field.ends_with(key.as_str()));
        }
        for (key, value) in [
            (SIZE, "0"),
            (SIZE, "-1"),
            (SERIALS, "a,,b"),
            (SERIALS, "../x"),
            (DISK, "vol/1"),
            (READONLY, "yes"),
        ] {
            let mut bad = good.clone();
            bad.insert(key.into(), value.into());
            assert!(PublishContext::parse(&bad).is_err(), "{key}={value}");
        }
    }
}
