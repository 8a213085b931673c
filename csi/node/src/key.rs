//! A key that opens an encrypted volume. It has no `Debug`, and no operation writes it anywhere but to the input of cryptsetup
//! and to a KMS plugin.

/// Bytes of a key, as a Secret or a KMS plugin gives it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// Takes the bytes.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for the two who may read them.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
