//! FAT 12, 16 and 32, as Linux' vfat mounts them.

use eck_csi::volume::FsType;

use super::fields::Fields;
use super::types::{Content, Formatted, FsId, Superblock};
use super::window::Window;

/// The boot sector's state byte: not unmounted, or a read failed.
const DIRTY: u8 = 1 | 2;

/// The boot sector, if its parameters make a FAT file system. Any other boot sector is not broken FAT but something else.
pub(super) fn superblock(head: &Window<'_>) -> Option<Superblock> {
    let sb = head.fields(0, 512)?;
    let jump = matches!(sb.byte(0), 0xeb | 0xe9) && sb.le16(510) == 0xaa55;
    let size_bytes = size(&sb).filter(|_| jump)?;
    // FAT32 has no 16-bit table length, and its extended parameters come 28 bytes later.
    let extended = if sb.le16(22) == 0 { 64 } else { 36 };
    let named = matches!(sb.byte(extended + 2), 0x28 | 0x29);
    let id = FsId::Fat(if named { sb.le32(extended + 3) } else { 0 });
    let clean = !named || sb.byte(extended + 1) & DIRTY == 0;
    Some(Superblock::Valid(Content::Formatted(Formatted { fs: FsType::Vfat, id, size_bytes, clean })))
}

/// Bytes of the file system, or `None` when the parameters are no FAT's.
fn size(sb: &Fields<'_>) -> Option<u64> {
    let [sector, reserved, roots] = [11, 14, 17].map(|at| u64::from(sb.le16(at)));
    let (cluster, tables, media) = (sb.byte(13), u64::from(sb.byte(16)), sb.byte(21));
    let either = |short: u64, long: u64| if short == 0 { long } else { short };
    let sectors = either(u64::from(sb.le16(19)), u64::from(sb.le32(32)));
    let table = either(u64::from(sb.le16(22)), u64::from(sb.le32(36)));
    let units = (512..=4096).contains(&sector) && sector.is_power_of_two() && cluster.is_power_of_two();
    let kind = media == 0xf0 || media >= 0xf8;
    // A FAT32 keeps its root folder among the clusters, the others must have one of their own.
    let root = (sb.le16(22) == 0) == (roots == 0);
    let overhead = reserved + tables * table + (roots * 32).div_ceil(sector.max(1));
    let filled = reserved > 0 && (1..=2).contains(&tables) && table > 0 && sectors > overhead;
    (units && kind && root && filled).then(|| sectors * sector)
}
