//! The partition table in the first sector. Its magic number alone says little: every boot sector ends with it.

use super::window::Window;

const MAGIC: &[u8] = b"\x55\xaa";
const ENTRIES: u64 = 446;
const ENTRY: usize = 16;

/// True if the first sector ends as a boot sector does.
pub(super) fn boot_sector(head: &Window<'_>) -> bool {
    head.has(510, MAGIC)
}

/// True if the table has a partition. One that starts at sector 0 is none: mkfs.vfat writes it over its own file system.
pub(super) fn partitioned(head: &Window<'_>, size: u64) -> bool {
    let entry = |n: u64| head.fields(ENTRIES + n * ENTRY as u64, ENTRY);
    let entries: Vec<_> = (0..4).filter_map(entry).collect();
    let flags = entries.iter().all(|e| matches!(e.byte(0), 0 | 0x80));
    let used = entries.iter().any(|e| {
        let start = u64::from(e.le32(8));
        e.byte(4) != 0 && e.le32(12) != 0 && start != 0 && start * 512 < size
    });
    boot_sector(head) && flags && used
}
