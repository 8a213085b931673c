//! StorageClass parameters.

use std::collections::HashMap;

use eck_csi::driver::DISK_TYPE_DEFAULT;
use eck_csi::field::{BadField, map, unknown};
use eck_csi::volume::{FsType, Region};
use eck_csi::volume_options::VolumeOptions;

/// Keys a StorageClass may use, beside those of [`VolumeOptions`].
const KNOWN: [&str; 3] = ["diskType", "fsType", "region"];

/// Begins the keys that provisioner and snapshotter add by themselves (`--extra-create-metadata`, `csi.storage.k8s.io/fstype`).
const SIDECARS: &str = "csi.storage.k8s.io/";

/// Parsed parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters {
    /// The type as written; `None` for the default.
    pub disk_type: Option<String>,
    /// File system for volumes whose capability names none.
    pub fs: Option<FsType>,
    /// Regions the class allows; empty for any.
    pub regions: Vec<Region>,
    /// How file systems are made and kept.
    pub(crate) options: VolumeOptions,
}

impl Parameters {
    /// Takes the field `parameters`. An unknown key is refused by name, with the nearest known one.
    pub fn parse(values: &HashMap<String, String>) -> Result<Self, BadField> {
        map("parameters", values)?;
        let mut parsed = Self { options: VolumeOptions::parse("parameters", values)?, ..Self::default() };
        let mut sorted: Vec<_> = values.iter().collect();
        sorted.sort();
        for (key, value) in sorted {
            match key.as_str() {
                "diskType" => parsed.disk_type = disk_type("parameters.diskType", value)?,
                "fsType" => parsed.fs = Some(FsType::parse("parameters.fsType", value)?),
                "region" => parsed.regions = regions(value)?,
                other if VolumeOptions::KEYS.contains(&other) || other.starts_with(SIDECARS) => {}
                other => {
                    let known = [&KNOWN[..], &VolumeOptions::KEYS].concat();
                    return Err(unknown("parameters", other, value, &known));
                }
            }
        }
        Ok(parsed)
    }
}

/// A disk type as a class names it, found in `field`; `None` for the pool's default.
pub(crate) fn disk_type(field: &str, value: &str) -> Result<Option<String>, BadField> {
    if value.is_empty() || value == DISK_TYPE_DEFAULT {
        return Ok(None);
    }
    let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain && value.len() <= 32 && !value.starts_with('-') {
        return Ok(Some(value.to_owned()));
    }
    let allowed = "cloud (the pool's default) or a type of the pool such as SAS or SSD: letters, digits, '-', at most 32";
    Err(BadField::new(field, value, allowed))
}

fn regions(value: &str) -> Result<Vec<Region>, BadField> {
    let words = value.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| Region::parse("parameters.region", word)).collect()
}

/// Refuses a key in the field `parameters` of an RPC that knows none but the sidecars' own.
pub(crate) fn none(values: &HashMap<String, String>) -> Result<(), BadField> {
    match values.iter().find(|(key, _)| !key.starts_with(SIDECARS)) {
        Some((key, value)) => Err(BadField::new(format!("parameters.{key}"), value, "no parameters")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Parameters, BadField> {
        Parameters::parse(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let e = parse(&[("disktype", "SSD")]).unwrap_err();
        assert_eq!(e.field, "parameters.disktype");
        assert!(e.allowed.ends_with("did you mean diskType?"), "{e}");
    }

    #[test]
    fn the_guides_class_and_the_provisioners_own_keys_are_taken() {
        let parsed = parse(&[
            ("diskType", "cloud"),
            ("fsType", "xfs"),
            ("region", "zj-shaoxing-2, fj-xiamen-4"),
            ("csi.storage.k8s.io/pvc/name", "data"),
            ("fsckPolicy", "none"),
        ]);
        let parsed = parsed.unwrap();
        assert_eq!((parsed.disk_type, parsed.fs, parsed.regions.len()), (None, Some(FsType::Xfs), 2));
        for bad in [("diskType", "a/b"), ("fsType", "ntfs"), ("region", "ZJ_1")] {
            assert!(parse(&[bad]).is_err(), "{bad:?}");
        }
    }
}
