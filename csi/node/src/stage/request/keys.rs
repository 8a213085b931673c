//! What opens an encrypted volume: the secrets of a NodeStageVolume request.

use std::collections::HashMap;

use eck_csi::field::BadField;
use eck_csi::volume_options::Encryption;

use crate::key::Key;

/// Keys of the Secret that the StorageClass names for NodeStageVolume.
const CURRENT: &str = "encryptionPassphrase";
const PREVIOUS: &str = "encryptionPassphrasePrevious";
/// Bytes of a passphrase: no fewer than a random one of 96 bits has in base64, no more than cryptsetup takes from a person.
const BYTES: std::ops::RangeInclusive<usize> = 16..=512;

/// Passphrases of a Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// Opens the volume, or will once the previous one did.
    pub(crate) current: Key,
    /// Opened it before the key was changed.
    pub(crate) previous: Option<Key>,
}

/// Reads the field `secrets`. What is complained about is never shown.
pub(super) fn parse(
    encryption: Encryption,
    secrets: &HashMap<String, String>,
) -> Result<Option<Keys>, BadField> {
    match encryption {
        Encryption::None => Ok(None),
        Encryption::Luks2 => keys(secrets).map(Some),
    }
}

fn keys(secrets: &HashMap<String, String>) -> Result<Keys, BadField> {
    let key = |name: &str| -> Result<Option<Key>, BadField> {
        let Some(value) = secrets.get(name) else { return Ok(None) };
        if BYTES.contains(&value.len()) {
            return Ok(Some(Key::new(value.clone().into_bytes())));
        }
        let allowed = format!("{} to {} bytes", BYTES.start(), BYTES.end());
        Err(hidden(name, value, allowed))
    };
    let current = key(CURRENT)?;
    let current = current.ok_or_else(|| {
        let allowed = "a Secret with this key, which the StorageClass names by \
                       csi.storage.k8s.io/node-stage-secret-name and -namespace";
        BadField::new(format!("secrets.{CURRENT}"), "", allowed)
    })?;
    let previous = key(PREVIOUS)?;
    if previous.as_ref() == Some(&current) {
        return Err(hidden(PREVIOUS, "", format!("another passphrase than {CURRENT}, or no such key")));
    }
    Ok(Keys { current, previous })
}

fn hidden(name: &str, value: &str, allowed: String) -> BadField {
    let shown =
        if value.is_empty() { "(hidden)".to_owned() } else { format!("(hidden, {} bytes)", value.len()) };
    BadField::new(format!("secrets.{name}"), shown, allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    const NEW: &str = "a new passphrase\n";
    const OLD: &str = "the old passphrase";

    #[test]
    fn a_passphrase_is_taken_to_the_byte() {
        let Some(keys) = parse(Encryption::Luks2, &map(&[(CURRENT, NEW), (PREVIOUS, OLD)])).ok().flatten()
        else {
            panic!("it is not taken");
        };
        assert_eq!(keys.current.bytes(), NEW.as_bytes());
        assert!(keys.previous.is_some_and(|key| key.bytes() == OLD.as_bytes()));
        assert!(
            parse(Encryption::None, &map(&[(CURRENT, "x")])).is_ok_and(|keys| keys.is_none()),
            "nobody asked for it"
        );
    }

    #[test]
    fn a_complaint_names_the_key_and_never_its_value() {
        let long = "x".repeat(513);
        for (secrets, field) in [
            (vec![], CURRENT),
            (vec![(PREVIOUS, OLD)], CURRENT),
            (vec![(CURRENT, "hunter2")], CURRENT),
            (vec![(CURRENT, long.as_str())], CURRENT),
            (vec![(CURRENT, NEW), (PREVIOUS, NEW)], PREVIOUS),
            (vec![(CURRENT, NEW), (PREVIOUS, "hunter2")], PREVIOUS),
        ] {
            let error = parse(Encryption::Luks2, &map(&secrets)).err().unwrap();
            assert_eq!(error.field, format!("secrets.{field}"));
            let text = error.to_string();
            assert!(!text.contains("hunter2") && !text.contains("xxx") && !text.contains("a new"), "{text}");
        }
    }
}
