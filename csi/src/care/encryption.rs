//! Whether a volume's disk is encrypted, and where its key comes from.

use std::collections::HashMap;

use crate::field::BadField;

pub(super) const ENCRYPTION: &str = "encryption";
pub(super) const KEY_SOURCE: &str = "encryptionKeySource";

/// Where the key of an encrypted volume comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeySource {
    /// The Secret that the StorageClass names for NodeStageVolume.
    #[default]
    Secret,
    /// The node makes a key for each volume and has it encrypted by the KMS plugin that runs on it.
    Kms,
}

/// How the disk is encrypted; `None` if not.
pub type Encryption = Option<KeySource>;

const KINDS: [(&str, bool); 2] = [("none", false), ("luks2", true)];
const SOURCES: [(&str, KeySource); 2] = [("secret", KeySource::Secret), ("kms", KeySource::Kms)];

/// Reads its keys of the map `field`.
pub(super) fn parse(field: &str, values: &HashMap<String, String>) -> Result<Encryption, BadField> {
    let encrypted = super::word(field, ENCRYPTION, values, &KINDS)?;
    let source = super::word(field, KEY_SOURCE, values, &SOURCES)?;
    match values.get(KEY_SOURCE) {
        // Whoever names a key must not get a disk that anybody can read.
        Some(value) if !encrypted => {
            let allowed = format!("no such key, or {ENCRYPTION}: luks2 beside it");
            Err(BadField::new(format!("{field}.{KEY_SOURCE}"), value, allowed))
        }
        _ => Ok(encrypted.then_some(source)),
    }
}

/// Adds its keys to a map; what is the default needs none.
pub(super) fn add_to(encryption: Encryption, values: &mut HashMap<String, String>) {
    let Some(source) = encryption else { return };
    values.insert(ENCRYPTION.to_owned(), super::name(&KINDS, true));
    if source != KeySource::default() {
        values.insert(KEY_SOURCE.to_owned(), super::name(&SOURCES, source));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn it_survives_the_way_to_the_node_and_none_is_no_key_at_all() {
        for (pairs, wanted) in [
            (&[][..], None),
            (&[("encryption", "none")], None),
            (&[("encryption", "luks2")], Some(KeySource::Secret)),
            (&[("encryption", "luks2"), ("encryptionKeySource", "kms")], Some(KeySource::Kms)),
        ] {
            let parsed = parse("parameters", &map(pairs)).unwrap();
            assert_eq!(parsed, wanted, "{pairs:?}");
            let mut context = HashMap::new();
            add_to(parsed, &mut context);
            assert_eq!(context.is_empty(), wanted.is_none());
            assert_eq!(parse("volume_context", &context), Ok(wanted));
        }
    }

    #[test]
    fn a_key_source_without_encryption_is_refused() {
        for pairs in [
            &[("encryptionKeySource", "kms")][..],
            &[("encryption", "none"), ("encryptionKeySource", "secret")],
            &[("encryption", "luks1")],
            &[("encryption", "true")],
            &[("encryption", "luks2"), ("encryptionKeySource", "vault")],
        ] {
            let error = parse("parameters", &map(pairs)).unwrap_err();
            assert!(error.field.starts_with("parameters.encryption"), "{error}");
        }
    }
}
