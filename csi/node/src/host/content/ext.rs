//! ext2, ext3 and ext4: one superblock, told apart by its features.

use eck_csi::volume::FsType;

use super::crc::crc32c;
use super::fields::Fields;
use super::types::{Content, Formatted, FsId, Superblock};
use super::window::Window;

/// Place and length of the superblock in bytes.
const AT: u64 = 1024;
const LEN: usize = 1024;
const MAGIC: u16 = 0xef53;
/// Of the checksum within the superblock: its last four bytes.
const CHECKSUM: usize = 0x3fc;

/// `s_state`: unmounted cleanly, or kept so by a journal.
const STATE_VALID: u16 = 1;
/// `s_state`: the kernel found an error and wants e2fsck.
const STATE_ERROR: u16 = 2;

const COMPAT_HAS_JOURNAL: u32 = 0x4;
const INCOMPAT_JOURNAL_DEV: u32 = 0x8;
const INCOMPAT_64BIT: u32 = 0x80;
/// filetype, recover, meta_bg.
const INCOMPAT_EXT3: u32 = 0x2 | 0x4 | 0x10;
/// What Linux' ext4 can mount: the above, extents, 64bit, mmp, flex_bg, ea_inode, csum_seed, largedir, inline_data,
/// encrypt, casefold.
const INCOMPAT_EXT4: u32 =
    INCOMPAT_EXT3 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x1_0000 | 0x2_0000;
/// sparse_super, large_file, btree_dir.
const RO_COMPAT_EXT3: u32 = 0x1 | 0x2 | 0x4;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;

/// The superblock at its place, if the magic number is there.
pub(super) fn superblock(head: &Window<'_>) -> Option<Superblock> {
    let sb = head.fields(AT, LEN)?;
    if sb.le16(0x38) != MAGIC {
        return None;
    }
    if features(&sb).1 & INCOMPAT_JOURNAL_DEV != 0 {
        // It has no inodes, so the geometry below is not its own.
        return Some(Superblock::others("an external journal of an ext file system", AT));
    }
    let Some(size_bytes) = size(&sb) else {
        return Some(Superblock::broken("a damaged ext superblock", AT));
    };
    let fs = match kind(&sb) {
        Ok(fs) => fs,
        Err(what) => return Some(Superblock::others(what, AT)),
    };
    let clean = sb.le16(0x3a) & (STATE_VALID | STATE_ERROR) == STATE_VALID && checksum_holds(&sb);
    let id = FsId::Uuid(sb.uuid(0x68));
    Some(Superblock::Valid(Content::Formatted(Formatted { fs, id, size_bytes, clean })))
}

/// Bytes of the file system, or `None` when the geometry is none.
fn size(sb: &Fields<'_>) -> Option<u64> {
    let [inodes, low, first, log_block, per_group, inodes_per_group] =
        [0x0, 0x4, 0x14, 0x18, 0x20, 0x28].map(|at| sb.le32(at));
    let high = if features(sb).1 & INCOMPAT_64BIT == 0 { 0 } else { sb.le32(0x150) };
    let blocks = u64::from(high) << 32 | u64::from(low);
    let block = 1024_u64 << Some(log_block).filter(|log| *log <= 6)?;
    let inode = if sb.le32(0x4c) == 0 { 128 } else { u64::from(sb.le16(0x58)) };
    let fits = inode.is_power_of_two() && (128..=block).contains(&inode);
    let counts = inodes > 0 && per_group > 0 && inodes_per_group > 0 && inodes_per_group <= inodes;
    (fits && counts && sb.le32(0x4c) <= 1 && first <= 1 && blocks > u64::from(first)).then_some(())?;
    blocks.checked_mul(block)
}

/// Compatible, incompatible and read-only compatible features; revision 0 has none.
fn features(sb: &Fields<'_>) -> (u32, u32, u32) {
    if sb.le32(0x4c) == 0 { (0, 0, 0) } else { (sb.le32(0x5c), sb.le32(0x60), sb.le32(0x64)) }
}

/// Which of the family, or what it is instead.
fn kind(sb: &Fields<'_>) -> Result<FsType, &'static str> {
    let (compat, incompat, ro_compat) = features(sb);
    let journal = compat & COMPAT_HAS_JOURNAL != 0;
    let old = incompat & !INCOMPAT_EXT3 == 0 && ro_compat & !RO_COMPAT_EXT3 == 0;
    // An inode number of 0 means that the journal is elsewhere: the kernel would take a device by its old number.
    let outside = journal && sb.le32(0xe0) == 0;
    match (journal, old) {
        _ if incompat & !INCOMPAT_EXT4 != 0 => {
            Err("an ext file system with features that Linux cannot mount")
        }
        _ if outside => Err("an ext file system whose journal is on another device"),
        (true, true) => Ok(FsType::Ext3),
        (false, true) => Err("an ext2 file system"),
        (_, false) => Ok(FsType::Ext4),
    }
}

/// False if there is a checksum and it is wrong, as after a torn write: the kernel does not mount it, and `e2fsck -p` leaves
/// it to a person. While the file system is mounted the kernel may be just about to write both.
fn checksum_holds(sb: &Fields<'_>) -> bool {
    let summed = features(sb).2 & RO_COMPAT_METADATA_CSUM != 0;
    !summed || sb.0.get(..CHECKSUM).is_some_and(|bytes| crc32c(!0, bytes) == sb.le32(CHECKSUM))
}
