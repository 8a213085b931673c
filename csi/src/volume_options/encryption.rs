//! Whether a volume's disk is encrypted.

use std::collections::HashMap;

use super::words::{name, word};
use crate::field::BadField;

pub(super) const ENCRYPTION: &str = "encryption";

/// How a volume's disk is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encryption {
    /// Not at all.
    #[default]
    None,
    /// LUKS2, opened by the Secret that the StorageClass names for NodeStageVolume.
    Luks2,
}

const KINDS: [(&str, Encryption); 2] = [("none", Encryption::None), ("luks2", Encryption::Luks2)];

/// Reads its key of the map `field`.
pub(super) fn parse(field: &str, values: &HashMap<String, String>) -> Result<Encryption, BadField> {
    word(field, ENCRYPTION, values, &KINDS)
}

/// Adds its key to a map; the default needs none.
pub(super) fn add_to(encryption: Encryption, values: &mut HashMap<String, String>) {
    if encryption != Encryption::default() {
        values.insert(ENCRYPTION.to_owned(), name(&KINDS, encryption));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: &str) -> HashMap<String, String> {
        HashMap::from([(ENCRYPTION.to_owned(), value.to_owned())])
    }

    #[test]
    fn it_survives_the_way_to_the_node_and_none_is_no_key_at_all() {
        for (value, wanted) in [("none", Encryption::None), ("luks2", Encryption::Luks2)] {
            let parsed = parse("parameters", &map(value)).unwrap();
            assert_eq!(parsed, wanted);
            let mut context = HashMap::new();
            add_to(parsed, &mut context);
            assert_eq!(context.is_empty(), wanted == Encryption::None);
            assert_eq!(parse("volume_context", &context), Ok(wanted));
        }
        assert_eq!(parse("parameters", &HashMap::new()), Ok(Encryption::None));
    }

    #[test]
    fn a_word_that_means_nothing_never_means_none() {
        for value in ["luks1", "true", "LUKS2", ""] {
            assert_eq!(parse("parameters", &map(value)).unwrap_err().field, "parameters.encryption");
        }
    }
}
