//! Linear memory of one device: large allocations in whole blocks of 2 MiB, small ones several to a block.

use std::collections::{BTreeMap, HashMap};

use crate::cuda::abi::{BLOCK, CudaError, CudaResult};
use crate::cuda::card::Card;
use crate::cuda::mapping::{map, unmap};

/// What every address is a multiple of, in bytes: CUDA promises no less.
const ALIGNED: u64 = 256;

/// Memory that was given out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allocation {
    /// The handle of the context that it dies with.
    pub(crate) context: usize,
    /// As it was asked for.
    pub(crate) bytes: u64,
    /// Bytes that were reserved of the card for it alone.
    pub(crate) reserved: u64,
}

/// The memory of one device in this process.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    /// Device memory by address.
    device: BTreeMap<u64, Allocation>,
    /// Managed memory by address.
    managed: BTreeMap<u64, Allocation>,
    /// Blocks of small allocations: which parts of them are taken, by address and length.
    blocks: HashMap<u64, BTreeMap<u64, u64>>,
}

impl Arena {
    pub(crate) fn allocate(&mut self, card: &Card, context: usize, bytes: u64) -> Result<u64, CudaError> {
        if bytes == 0 {
            return Err(CudaError::INVALID_VALUE);
        }
        let (at, reserved) = if bytes < BLOCK {
            (self.allocate_small(card, bytes)?, 0)
        } else {
            let whole = bytes.checked_next_multiple_of(BLOCK).ok_or(CudaError::OUT_OF_MEMORY)?;
            card.reserve(whole)?;
            (map(whole).inspect_err(|_| card.release(whole))?, whole)
        };
        self.device.insert(at, Allocation { context, bytes, reserved });
        Ok(at)
    }

    /// The first room in a block that is there, or a new block.
    fn allocate_small(&mut self, card: &Card, bytes: u64) -> Result<u64, CudaError> {
        let length = bytes.next_multiple_of(ALIGNED);
        for (block, parts) in &mut self.blocks {
            let mut free = *block;
            for (at, taken) in parts.iter() {
                if at - free >= length {
                    break;
                }
                free = at + taken;
            }
            if free + length <= block + BLOCK {
                parts.insert(free, length);
                return Ok(free);
            }
        }
        card.reserve(BLOCK)?;
        let block = map(BLOCK).inspect_err(|_| card.release(BLOCK))?;
        self.blocks.insert(block, BTreeMap::from([(block, length)]));
        Ok(block)
    }

    /// Managed memory is never refused: what the card has no room for lies in the machine's, here each allocation as a whole.
    pub(crate) fn allocate_managed(
        &mut self,
        card: &Card,
        context: usize,
        bytes: u64,
    ) -> Result<u64, CudaError> {
        let whole = bytes
            .checked_next_multiple_of(BLOCK)
            .filter(|whole| *whole > 0)
            .ok_or(CudaError::INVALID_VALUE)?;
        let at = map(whole)?;
        let reserved = if card.reserve(whole).is_ok() { whole } else { 0 };
        self.managed.insert(at, Allocation { context, bytes: whole, reserved });
        Ok(at)
    }

    /// Memory that another process lends: nothing of the card is reserved for it here.
    pub(crate) fn insert_borrowed(&mut self, at: u64, context: usize, bytes: u64) {
        self.managed.insert(at, Allocation { context, bytes, reserved: 0 });
    }

    /// The device memory that begins at an address.
    pub(crate) fn device_memory(&self, at: u64) -> Option<Allocation> {
        self.device.get(&at).copied()
    }

    pub(crate) fn holds(&self, at: u64) -> bool {
        self.device.contains_key(&at) || self.managed.contains_key(&at)
    }

    /// Where what an address lies in begins, and its bytes.
    pub(crate) fn range(&self, at: u64) -> Option<(u64, u64)> {
        let inside = |all: &BTreeMap<u64, Allocation>| {
            let (start, allocation) = all.range(..=at).next_back()?;
            (at - start < allocation.bytes).then_some((*start, allocation.bytes))
        };
        inside(&self.device).or_else(|| inside(&self.managed))
    }

    /// Frees everything that was allocated in a context.
    pub(crate) fn free_context(&mut self, card: &Card, context: usize) -> CudaResult {
        let all = self.device.iter().chain(&self.managed);
        let dying: Vec<u64> =
            all.filter(|(_, allocation)| allocation.context == context).map(|(at, _)| *at).collect();
        dying.into_iter().try_for_each(|at| self.free(card, at))
    }

    pub(crate) fn free(&mut self, card: &Card, at: u64) -> CudaResult {
        if let Some(managed) = self.managed.remove(&at) {
            unmap(at, managed.bytes);
            card.release(managed.reserved);
            return Ok(());
        }
        let allocation = self.device.remove(&at).ok_or(CudaError::INVALID_VALUE)?;
        if allocation.reserved > 0 {
            unmap(at, allocation.reserved);
            card.release(allocation.reserved);
            return Ok(());
        }
        self.free_small(card, at)
    }

    fn free_small(&mut self, card: &Card, at: u64) -> CudaResult {
        let block = at / BLOCK * BLOCK;
        let parts = self.blocks.get_mut(&block).ok_or(CudaError::INVALID_VALUE)?;
        parts.remove(&at);
        if parts.is_empty() {
            self.blocks.remove(&block);
            unmap(block, BLOCK);
            card.release(BLOCK);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::testing::Machine;

    const KIB: u64 = 1 << 10;

    #[test]
    fn a_large_allocation_takes_whole_blocks() {
        let (card, mut arena) = (Machine::new().card(4), Arena::default());
        let at = arena.allocate(&card, 1, BLOCK + 1).unwrap();
        assert_eq!((at % BLOCK, card.used()), (0, 2 * BLOCK));
        arena.free(&card, at).unwrap();
        assert_eq!(card.used(), 0);
    }

    #[test]
    fn small_allocations_share_a_block_until_the_last_is_freed() {
        let (card, mut arena) = (Machine::new().card(4), Arena::default());
        let [one, other] = [(); 2].map(|()| arena.allocate(&card, 1, KIB).unwrap());
        assert_eq!((one / BLOCK, card.used()), (other / BLOCK, BLOCK));
        arena.free(&card, one).unwrap();
        assert_eq!(card.used(), BLOCK);
        arena.free(&card, other).unwrap();
        assert_eq!(card.used(), 0);
    }

    #[test]
    fn small_allocations_do_not_overlap_and_are_aligned() {
        let (card, mut arena) = (Machine::new().card(4), Arena::default());
        let mut all: Vec<u64> = (0..100).map(|_| arena.allocate(&card, 1, 300).unwrap()).collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] >= 300));
        assert!(all.iter().all(|at| at.is_multiple_of(ALIGNED)));
    }

    #[test]
    fn room_that_was_freed_in_a_block_is_used_again() {
        let (card, mut arena) = (Machine::new().card(1), Arena::default());
        let [one, _other] = [(); 2].map(|()| arena.allocate(&card, 1, BLOCK / 2).unwrap());
        arena.free(&card, one).unwrap();
        assert_eq!(arena.allocate(&card, 1, BLOCK / 2), Ok(one));
    }

    #[test]
    fn a_full_card_refuses_device_memory() {
        let (card, mut arena) = (Machine::new().card(1), Arena::default());
        assert_eq!(arena.allocate(&card, 1, 2 * BLOCK), Err(CudaError::OUT_OF_MEMORY));
        arena.allocate(&card, 1, BLOCK).unwrap();
        assert_eq!(arena.allocate(&card, 1, 1), Err(CudaError::OUT_OF_MEMORY));
    }

    #[test]
    fn managed_memory_lies_in_the_host_s_where_the_card_is_full() {
        let (card, mut arena) = (Machine::new().card(2), Arena::default());
        let [one, other] = [(); 2].map(|()| arena.allocate_managed(&card, 1, 2 * BLOCK).unwrap());
        assert_eq!(card.used(), 2 * BLOCK, "the second is not of the card");
        arena.free(&card, other).unwrap();
        assert_eq!(card.used(), 2 * BLOCK);
        arena.free(&card, one).unwrap();
        assert_eq!(card.used(), 0);
    }

    #[test]
    fn no_bytes_are_no_allocation() {
        let (card, mut arena) = (Machine::new().card(1), Arena::default());
        assert_eq!(arena.allocate(&card, 1, 0), Err(CudaError::INVALID_VALUE));
        assert_eq!(arena.allocate_managed(&card, 1, 0), Err(CudaError::INVALID_VALUE));
    }

    #[test]
    fn what_was_not_allocated_or_is_freed_already_cannot_be_freed() {
        let (card, mut arena) = (Machine::new().card(1), Arena::default());
        let at = arena.allocate(&card, 1, KIB).unwrap();
        assert_eq!(arena.free(&card, at + 1), Err(CudaError::INVALID_VALUE));
        arena.free(&card, at).unwrap();
        assert_eq!(arena.free(&card, at), Err(CudaError::INVALID_VALUE));
    }

    #[test]
    fn memory_of_one_context_is_freed_with_it() {
        let (card, mut arena) = (Machine::new().card(8), Arena::default());
        arena.allocate(&card, 1, KIB).unwrap();
        arena.allocate_managed(&card, 1, BLOCK).unwrap();
        arena.allocate(&card, 2, BLOCK).unwrap();
        arena.free_context(&card, 1).unwrap();
        assert_eq!(card.used(), BLOCK);
    }

    #[test]
    fn the_range_of_an_address_is_its_allocation() {
        let (card, mut arena) = (Machine::new().card(8), Arena::default());
        let at = arena.allocate(&card, 1, 5000).unwrap();
        assert_eq!(arena.range(at + 4999), Some((at, 5000)));
        assert_eq!(arena.range(at + 5000), None);
    }
}
