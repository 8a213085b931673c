//! A piece of a device in memory, addressed by the device's own byte numbers.

use super::fields::Fields;
use super::types::BLOCK;

/// One block of zeros to compare with: the comparison is `memcmp`, in every build.
const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];

/// Bytes of the device from `at` on.
pub(super) struct Window<'a> {
    at: u64,
    bytes: &'a [u8],
}

impl<'a> Window<'a> {
    pub(super) fn new(at: u64, bytes: &'a [u8]) -> Self {
        Self { at, bytes }
    }

    /// Where the window starts.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The `len` bytes at a place of the device, if they are all within the window.
    pub(super) fn get(&self, at: u64, len: usize) -> Option<&'a [u8]> {
        let start = usize::try_from(at.checked_sub(self.at)?).ok()?;
        self.bytes.get(start..start.checked_add(len)?)
    }

    /// Numbers of the `len` bytes at a place of the device.
    pub(super) fn fields(&self, at: u64, len: usize) -> Option<Fields<'a>> {
        self.get(at, len).map(Fields)
    }

    /// Whether exactly these bytes stand at a place of the device.
    pub(super) fn has(&self, at: u64, magic: &[u8]) -> bool {
        self.get(at, magic.len()) == Some(magic)
    }

    /// The block with the first byte that is not zero, and where that byte stands.
    pub(super) fn first_data(&self) -> Option<(Self, u64)> {
        let (index, block) =
            self.bytes.chunks(ZEROS.len()).enumerate().find(|(_, b)| *b != &ZEROS[..b.len()])?;
        let block_at = self.at + index as u64 * BLOCK;
        let byte = block.iter().position(|b| *b != 0)?;
        Some((Self::new(block_at, block), block_at + byte as u64))
    }
}
