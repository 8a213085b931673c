//! How a StorageClass wants its volumes made and kept: encryption, file system, checks, discard. Read by the controller from the
//! class's parameters, so that a mistake is told when the claim is made, and by the node from the volume context, which carries
//! the same keys.

use std::collections::HashMap;

use crate::field::BadField;
use crate::volume::FsType;

mod encryption;
mod mkfs;
mod words;

use encryption::ENCRYPTION;
pub use encryption::Encryption;
pub use mkfs::{MkfsOption, MkfsOptions};
use words::{name, word};

const FSCK: &str = "fsckPolicy";
const DISCARD: &str = "discard";
const MKFS: &str = "mkfsOptions";

/// What happens before a file system is mounted that asks for a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fsck {
    /// What can be repaired without loss is repaired; more damage is refused.
    #[default]
    Repair,
    /// Its journal is replayed, as a mount would do; what is damaged then is refused and left as it is, for a person.
    Check,
    /// Nothing: the kernel decides whether it mounts.
    None,
}

/// How a volume gives back to the cloud what its file system has freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Discard {
    /// Not at all.
    #[default]
    None,
    /// At once: the mount option `discard`.
    Mount,
    /// Every week, by fstrim.
    Periodic,
}

/// What a StorageClass asks for its volumes; see the module's text for who reads it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeOptions {
    /// How a blank disk's file system is made.
    pub mkfs: MkfsOptions,
    /// How it is checked.
    pub fsck: Fsck,
    /// How freed space is given back.
    pub discard: Discard,
    /// Whether the disk is encrypted.
    pub encryption: Encryption,
}

const FSCKS: [(&str, Fsck); 3] = [("repair", Fsck::Repair), ("check", Fsck::Check), ("none", Fsck::None)];
const DISCARDS: [(&str, Discard); 3] =
    [("none", Discard::None), ("mount", Discard::Mount), ("periodic", Discard::Periodic)];

impl VolumeOptions {
    /// The keys that are read here.
    pub const KEYS: [&str; 4] = [FSCK, DISCARD, MKFS, ENCRYPTION];

    /// Reads its own keys of the map `field`.
    pub fn parse(field: &str, values: &HashMap<String, String>) -> Result<Self, BadField> {
        let mkfs = values.get(MKFS).map(|text| MkfsOptions::parse(&format!("{field}.{MKFS}"), text));
        Ok(Self {
            mkfs: mkfs.transpose()?.unwrap_or_default(),
            fsck: word(field, FSCK, values, &FSCKS)?,
            discard: word(field, DISCARD, values, &DISCARDS)?,
            encryption: encryption::parse(field, values)?,
        })
    }

    /// Refuses what the file system `fs` does not have.
    pub fn fits(&self, field: &str, fs: FsType) -> Result<(), BadField> {
        self.mkfs.fits(&format!("{field}.{MKFS}"), fs)
    }

    /// Adds its keys to a map; a default needs none.
    pub fn add_to(&self, values: &mut HashMap<String, String>) {
        encryption::add_to(self.encryption, values);
        let mut add = |key: &str, text: String| values.insert(key.to_owned(), text);
        if self.fsck != Fsck::default() {
            add(FSCK, name(&FSCKS, self.fsck));
        }
        if self.discard != Discard::default() {
            add(DISCARD, name(&DISCARDS, self.discard));
        }
        if self.mkfs != MkfsOptions::default() {
            add(MKFS, self.mkfs.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn it_survives_the_way_from_the_class_to_the_node() {
        let class = map(&[
            ("fsckPolicy", "check"),
            ("discard", "periodic"),
            ("mkfsOptions", "blockSize=4096,inodeSize=512"),
            ("diskType", "SSD"),
        ]);
        let options = VolumeOptions::parse("parameters", &class).unwrap();
        assert_eq!((options.fsck, options.discard), (Fsck::Check, Discard::Periodic));
        let mut context = HashMap::new();
        options.add_to(&mut context);
        assert_eq!(VolumeOptions::parse("volume_context", &context), Ok(options));
        let mut nothing = HashMap::new();
        VolumeOptions::default().add_to(&mut nothing);
        assert!(nothing.is_empty(), "a PV of a class without wishes stays as it was");
        assert_eq!(VolumeOptions::parse("volume_context", &nothing), Ok(VolumeOptions::default()));
    }

    #[test]
    fn a_refusal_names_field_value_and_what_is_allowed() {
        let text =
            |pairs: &[(&str, &str)]| VolumeOptions::parse("parameters", &map(pairs)).unwrap_err().to_string();
        let said = text(&[("fsckPolicy", "always")]);
        assert_eq!(said, "parameters.fsckPolicy: \"always\" is not allowed; allowed: repair, check, none");
        assert!(text(&[("discard", "")]).ends_with("allowed: none, mount, periodic"));
        assert!(text(&[("mkfsOptions", "-F")]).starts_with("parameters.mkfsOptions: \"-F\""));
    }
}
