//! The physical blocks that this process's allocations lie in.

use std::collections::BTreeMap;

/// Bytes of a block: the page size of the driver's virtual memory, which `cuMemGetAllocationGranularity` tells for every card since
/// Pascal.
pub(crate) const BLOCK: u64 = 2 << 20;

/// Bytes in whole blocks.
pub(crate) fn whole_blocks(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(BLOCK)
}

/// How many allocations lie in each block, by its address.
#[derive(Debug, Default)]
pub(crate) struct Blocks(BTreeMap<u64, u32>);

impl Blocks {
    fn of(pointer: u64, bytes: u64) -> impl Iterator<Item = u64> {
        let end = pointer.saturating_add(bytes.max(1));
        (pointer / BLOCK..end.div_ceil(BLOCK)).map(|block| block * BLOCK)
    }

    /// Adds an allocation; the bytes of blocks that were not there before.
    pub(crate) fn add(&mut self, pointer: u64, bytes: u64) -> u64 {
        let mut new = 0;
        for block in Self::of(pointer, bytes) {
            let count = self.0.entry(block).or_insert(0);
            new += if *count == 0 { BLOCK } else { 0 };
            *count += 1;
        }
        new
    }

    /// Takes an allocation away; the bytes of blocks that nothing lies in any more.
    pub(crate) fn remove(&mut self, pointer: u64, bytes: u64) -> u64 {
        let mut freed = 0;
        for block in Self::of(pointer, bytes) {
            let Some(count) = self.0.get_mut(&block) else { continue };
            *count -= 1;
            if *count == 0 {
                self.0.remove(&block);
                freed += BLOCK;
            }
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_costs_once_however_many_lie_in_it() {
        let mut blocks = Blocks::default();
        assert_eq!(blocks.add(BLOCK * 8, 100), BLOCK);
        assert_eq!(blocks.add(BLOCK * 8 + 256, 100), 0);
        assert_eq!(blocks.add(BLOCK * 9, 3 * BLOCK - 5), 3 * BLOCK);
        assert_eq!(blocks.add(BLOCK * 20 - 1, 2), 2 * BLOCK, "over a border");
        assert_eq!(blocks.remove(BLOCK * 8, 100), 0);
        assert_eq!(blocks.remove(BLOCK * 8 + 256, 100), BLOCK);
        assert_eq!(blocks.remove(BLOCK * 9, 3 * BLOCK - 5), 3 * BLOCK);
        assert_eq!(blocks.remove(BLOCK * 20 - 1, 2), 2 * BLOCK);
        assert!(blocks.0.is_empty());
        assert_eq!(
            (whole_blocks(1), whole_blocks(BLOCK), whole_blocks(u64::MAX)),
            (Some(BLOCK), Some(BLOCK), None)
        );
    }
}
