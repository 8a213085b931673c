//! XFS, versions 4 and 5.

use eck_csi::volume::FsType;

use super::crc::crc32c;
use super::fields::Fields;
use super::types::{Content, Formatted, FsId, Superblock};
use super::window::Window;

const MAGIC: &[u8] = b"XFSB";
/// Of the checksum within the superblock.
const CHECKSUM: usize = 224;
/// The smallest allocation group in blocks, and the largest in bytes (XFS_AG_MIN_BLOCKS, XFS_AG_MAX_BYTES).
const AG_BLOCKS_MIN: u64 = 64;
const AG_BYTES_MAX: u64 = 1 << 40;

/// The superblock at its place, if the magic number is there.
pub(super) fn superblock(head: &Window<'_>) -> Option<Superblock> {
    if !head.has(0, MAGIC) {
        return None;
    }
    let first = head.fields(0, 512)?;
    let Some((sb, size_bytes)) = sector(head, &first).and_then(|sb| Some((sb, size(&sb)?))) else {
        return Some(Superblock::broken("a damaged XFS superblock", 0));
    };
    if sb.byte(126) != 0 {
        return Some(Superblock::others("an XFS file system whose making was interrupted", 0));
    }
    if sb.be64(48) == 0 || sb.be64(16) != 0 {
        return Some(Superblock::others("an XFS file system with its log or its data on another device", 0));
    }
    // A log to replay is the kernel's work; only a torn superblock is not.
    let clean = version(&sb) == 4 || checksum_holds(&sb);
    let (fs, id) = (FsType::Xfs, FsId::Uuid(sb.uuid(32)));
    Some(Superblock::Valid(Content::Formatted(Formatted { fs, id, size_bytes, clean })))
}

fn version(sb: &Fields<'_>) -> u16 {
    sb.be16(100) & 0xf
}

/// The superblock's whole sector: over it goes the checksum.
fn sector<'a>(head: &Window<'a>, sb: &Fields<'_>) -> Option<Fields<'a>> {
    let sector = u32::from(sb.be16(102));
    let sane = (512..=32_768).contains(&sector) && Some(sector) == 1_u32.checked_shl(u32::from(sb.byte(121)));
    head.fields(0, usize::try_from(sector).ok().filter(|_| sane)?)
}

/// Bytes of the file system, or `None` when the geometry is none.
fn size(sb: &Fields<'_>) -> Option<u64> {
    let block = u64::from(sb.be32(4));
    let [blocks, ag_blocks, ags] = [sb.be64(8), u64::from(sb.be32(84)), u64::from(sb.be32(88))];
    let shift = Some(block) == 1_u64.checked_shl(u32::from(sb.byte(120)));
    let unit = shift && (512..=65_536).contains(&block) && matches!(version(sb), 4 | 5);
    let group = ag_blocks >= AG_BLOCKS_MIN && ag_blocks * block <= AG_BYTES_MAX && ags > 0;
    let filled = blocks > (ags.max(1) - 1) * ag_blocks && blocks <= ags * ag_blocks;
    blocks.checked_mul(block).filter(|_| unit && group && filled)
}

/// The checksum is taken with its own field as zero, and kept inverted.
fn checksum_holds(sb: &Fields<'_>) -> bool {
    let (Some(before), Some(behind)) = (sb.0.get(..CHECKSUM), sb.0.get(CHECKSUM + 4..)) else {
        return false;
    };
    !crc32c(crc32c(crc32c(!0, before), &[0; 4]), behind) == sb.le32(CHECKSUM)
}
