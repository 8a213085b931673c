//! A key that opens an encrypted volume. It has no `Debug`, and no operation writes it anywhere but to the input of cryptsetup.

/// Bytes of a key, as a Secret gives it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    /// Takes the bytes.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for cryptsetup, which alone may read them.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
