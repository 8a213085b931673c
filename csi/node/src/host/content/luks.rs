//! The two signs of an encrypted disk: a LUKS2 header, and the mark of one that was begun and is not whole.

use uuid::Uuid;

use super::types::{BLOCK, Content};
use super::window::Window;

/// LUKS2's magic number and version (LUKS2 On-Disk Format, 2.1).
pub(super) const MAGIC: &[u8] = b"LUKS\xba\xbe\x00\x02";
/// What [`begun`] begins with.
const BEGUN: &[u8] = b"eck-csi: LUKS2 was begun here\0\0\0";

/// The first block of a disk while its header is made: so long as it stands there the disk has nobody's data. Behind the first
/// sector it is zero, as a LUKS2 header is, so that one sector's write turns the one into the other.
pub fn begun(uuid: Uuid) -> [u8; BLOCK as usize] {
    let mut block = [0; BLOCK as usize];
    let (mark, rest) = block.split_at_mut(BEGUN.len());
    mark.copy_from_slice(BEGUN);
    rest[..16].copy_from_slice(uuid.as_bytes());
    block
}

/// The sign at the device's start, if there is one.
pub(super) fn sign(head: &Window<'_>) -> Option<Content> {
    if head.has(0, MAGIC) {
        return Some(Content::Luks2);
    }
    let uuid = head.get(BEGUN.len() as u64, 16).filter(|_| head.has(0, BEGUN))?;
    Uuid::from_slice(uuid).ok().map(Content::Begun)
}
