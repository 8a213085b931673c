//! Ids, names, regions, sizes and file systems: valid by construction, so that nobody checks them again.

use std::fmt;

use serve::code::GrpcCode;
use tonic::Code;

use crate::driver::{
    GIB, MAX_DISK_GIB, MAX_FIELD_BYTES, MAX_NODE_ID_BYTES, MIN_DISK_GIB, VIRTIO_SERIAL_BYTES,
};
use crate::field::{BadField, text};

/// A volume id as the CO sent it: any text the spec allows. Whether it can name a disk is asked with [`VolumeId::disk`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VolumeId(String);

impl VolumeId {
    /// Takes the field `volume_id`.
    pub fn parse(value: String) -> Result<Self, BadField> {
        text("volume_id", value, MAX_FIELD_BYTES).map(Self)
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The disk this id names, if it has the form of a disk id at all. A volume id of another form never existed here:
    /// it is NOT_FOUND (or success, where the spec wants that), not INVALID_ARGUMENT.
    pub fn disk(&self) -> Option<DiskId> {
        DiskId::parse(&self.0)
    }
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of an ECX disk. The guide shows `cd-` and 20 lower-case letters and digits, but it is the cloud's own text and means nothing
/// here: whatever can stand in a URL, in a file's name and in a mapping's name unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DiskId(String);

impl DiskId {
    /// What an id may be, for errors.
    pub const ALLOWED: &str = "a disk id such as cd-cfebko79upsq2iuo7lkg: 1 to 64 letters, digits, '-', '_' or '.', the first no mark";

    /// Parses an id, or `None` when no disk can have it.
    pub fn parse(value: &str) -> Option<Self> {
        let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let begins = value.starts_with(|first: char| first.is_ascii_alphanumeric());
        (plain && begins && value.len() <= 64).then(|| Self(value.to_owned()))
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Every serial under which a hypervisor may show this disk: without a prefix such as `cd-`, cut to virtio-blk's 20 bytes, whole.
    /// Which one ECX uses is not known (ecx/API.md §4), so the node looks for all.
    pub fn serials(&self) -> Vec<String> {
        let kind = |prefix: &str| prefix.len() <= 4 && prefix.bytes().all(|b| b.is_ascii_lowercase());
        let bare = match self.0.split_once('-') {
            Some((prefix, rest)) if kind(prefix) && !rest.is_empty() => rest,
            _ => &self.0,
        };
        let cut = |s: &str| s[..s.len().min(VIRTIO_SERIAL_BYTES)].to_owned();
        let mut serials = Vec::new();
        for serial in [cut(bare), cut(&self.0), bare.to_owned(), self.0.clone()] {
            if !serials.contains(&serial) {
                serials.push(serial);
            }
        }
        serials
    }
}

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An ECX region (edge pool), e.g. `zj-shaoxing-2`: the value of the topology key and the region key of the cloud API.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(String);

impl Region {
    /// Takes `value`, found in `field`.
    pub fn parse(field: &str, value: &str) -> Result<Self, BadField> {
        // Loose on purpose: two known pools do not fit the usual <province>-<city>-<n> (ecx/API.md §2.2).
        let words = value
            .split('-')
            .all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        if words && value.len() <= 63 {
            return Ok(Self(value.to_owned()));
        }
        let allowed = "a region code such as zj-shaoxing-2: lower-case words joined by '-', at most 63 bytes";
        Err(BadField::new(field, value, allowed))
    }

    /// The region's code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Region {
    type Err = BadField;

    fn from_str(value: &str) -> Result<Self, BadField> {
        Self::parse("region", value)
    }
}

/// How a node is named to the controller. It crosses the border as text: `<region>/<instance id>` when the node knows its
/// instance, else the node's name `<region>.<private IPv4>`, from which the controller finds the instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeId {
    /// Region and instance id are known.
    Instance {
        /// The node's region.
        region: Region,
        /// The cloud's id of the machine; opaque.
        instance: String,
    },
    /// Only the guide's node name is known.
    Address {
        /// The node's region.
        region: Region,
        /// The node's private address.
        ip: std::net::Ipv4Addr,
    },
    /// Text of no such form: a node that no controller of ours has ever named.
    Unknown(String),
}

impl NodeId {
    /// Takes the field `node_id`. Only missing or over-long text is refused: an unknown form is an unknown node.
    pub fn parse(value: String) -> Result<Self, BadField> {
        let value = text("node_id", value, MAX_NODE_ID_BYTES)?;
        Ok(Self::known(&value).unwrap_or(Self::Unknown(value)))
    }

    fn known(value: &str) -> Option<Self> {
        let region = |r: &str| Region::parse("node_id", r).ok();
        if let Some((r, instance)) = value.split_once('/') {
            let plain = !instance.is_empty() && instance.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
            return plain
                .then_some(())
                .and_then(|()| Some(Self::Instance { region: region(r)?, instance: instance.to_owned() }));
        }
        let (r, ip) = value.split_once('.')?;
        Some(Self::Address { region: region(r)?, ip: ip.parse().ok()? })
    }

    /// The node's region, if the id tells it.
    pub fn region(&self) -> Option<&Region> {
        match self {
            Self::Instance { region, .. } | Self::Address { region, .. } => Some(region),
            Self::Unknown(_) => None,
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance { region, instance } => write!(f, "{region}/{instance}"),
            Self::Address { region, ip } => write!(f, "{region}.{ip}"),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}

/// File systems that a volume can carry; the guide's list (4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FsType {
    /// The default.
    #[default]
    Ext4,
    /// ext3, for old guests.
    Ext3,
    /// XFS.
    Xfs,
    /// FAT; needs a kernel with vfat.
    Vfat,
}

impl FsType {
    /// Every file system, in the guide's order.
    pub const ALL: [Self; 4] = [Self::Ext4, Self::Ext3, Self::Xfs, Self::Vfat];

    /// The kernel's name of the file system.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Ext3 => "ext3",
            Self::Xfs => "xfs",
            Self::Vfat => "vfat",
        }
    }

    /// Takes `value`, found in `field`.
    pub fn parse(field: &str, value: &str) -> Result<Self, BadField> {
        let known = Self::ALL.into_iter().find(|fs| fs.as_str() == value);
        known.ok_or_else(|| BadField::new(field, value, "ext4, ext3, xfs or vfat"))
    }
}

impl fmt::Display for FsType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The size that a disk must have: a CSI capacity range, in whole GiB within the cloud's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SizeRange {
    /// Smallest size that will do, in GiB; also the size that is ordered.
    pub min_gib: u64,
    /// Largest size that will do, in GiB.
    pub max_gib: u64,
}

/// Why a capacity range cannot be met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSize {
    /// Negative or contradictory numbers: INVALID_ARGUMENT.
    #[error(transparent)]
    Field(#[from] BadField),
    /// No disk of the cloud has such a size: OUT_OF_RANGE.
    #[error(transparent)]
    OutOfRange(BadField),
}

impl GrpcCode for BadSize {
    fn code(&self) -> Code {
        match self {
            Self::Field(field) => field.code(),
            // The spec's code for a capacity_range that no volume can have.
            Self::OutOfRange(_) => Code::OutOfRange,
        }
    }
}

serve::into_status!(BadSize);

impl SizeRange {
    /// From `required_bytes` and `limit_bytes` of a CSI CapacityRange; 0 means "not given".
    pub fn parse(required: i64, limit: i64) -> Result<Self, BadSize> {
        for (field, value) in [("required_bytes", required), ("limit_bytes", limit)] {
            if value < 0 {
                let field = format!("capacity_range.{field}");
                return Err(BadField::new(field, value, "0 (not given) or a positive number of bytes").into());
            }
        }
        let (required, limit) = (required.unsigned_abs(), limit.unsigned_abs());
        if limit != 0 && required > limit {
            let allowed = format!("at most limit_bytes, {limit}");
            return Err(BadField::new("capacity_range.required_bytes", required, allowed).into());
        }
        let min_gib = required.div_ceil(GIB).max(MIN_DISK_GIB);
        let max_gib = if limit == 0 { MAX_DISK_GIB } else { (limit / GIB).min(MAX_DISK_GIB) };
        if min_gib > MAX_DISK_GIB {
            let allowed = format!("at most {MAX_DISK_GIB} GiB");
            return Err(BadSize::OutOfRange(BadField::new(
                "capacity_range.required_bytes",
                required,
                allowed,
            )));
        }
        if max_gib < min_gib {
            let allowed = format!(
                "0 or at least {} bytes: disks have whole GiB, {MIN_DISK_GIB} at least, and {required} bytes are required",
                min_gib * GIB
            );
            return Err(BadSize::OutOfRange(BadField::new("capacity_range.limit_bytes", limit, allowed)));
        }
        Ok(Self { min_gib, max_gib })
    }

    /// Whether a disk of `gib` GiB is within the range.
    pub fn holds(&self, gib: u64) -> bool {
        (self.min_gib..=self.max_gib).contains(&gib)
    }
}

#[cfg(test)]
mod tests;
