//! Physical memory apart from addresses (`cuMemCreate` and its kin). It is the card's until its last handle and mapping are gone.

use std::collections::{BTreeMap, HashMap};

use crate::cuda::abi::{BLOCK, CudaError, CudaResult};
use crate::cuda::card::Card;

/// Physical memory; of a card, or of the host where there is none.
#[derive(Debug)]
struct Physical {
    card: Option<&'static Card>,
    bytes: u64,
    handles: u32,
    mappings: u32,
}

/// A range of addresses with memory behind it.
#[derive(Debug, Clone, Copy)]
struct Mapping {
    bytes: u64,
    handle: u64,
}

/// The physical memory of this process.
#[derive(Debug, Default)]
pub(crate) struct PhysicalMemory {
    by_handle: HashMap<u64, Physical>,
    /// By address.
    mappings: BTreeMap<u64, Mapping>,
}

impl PhysicalMemory {
    pub(crate) fn create(&mut self, handle: u64, card: Option<&'static Card>, bytes: u64) -> CudaResult {
        if bytes == 0 || !bytes.is_multiple_of(BLOCK) {
            return Err(CudaError::INVALID_VALUE);
        }
        if let Some(card) = card {
            card.reserve(bytes)?;
        }
        self.by_handle.insert(handle, Physical { card, bytes, handles: 1, mappings: 0 });
        Ok(())
    }

    pub(crate) fn release(&mut self, handle: u64) -> CudaResult {
        let held = self.by_handle.get(&handle).is_some_and(|memory| memory.handles > 0);
        if !held {
            return Err(CudaError::INVALID_VALUE);
        }
        self.change(handle, |memory| memory.handles -= 1)
    }

    pub(crate) fn map(&mut self, at: u64, bytes: u64, offset: u64, handle: u64) -> CudaResult {
        let memory = self.by_handle.get_mut(&handle).ok_or(CudaError::INVALID_VALUE)?;
        if offset.checked_add(bytes).is_none_or(|end| end > memory.bytes) {
            return Err(CudaError::INVALID_VALUE);
        }
        memory.mappings += 1;
        self.mappings.insert(at, Mapping { bytes, handle });
        Ok(())
    }

    /// Unmaps everything in a range of addresses.
    pub(crate) fn unmap(&mut self, at: u64, bytes: u64) -> CudaResult {
        let range = self.mappings.range(at..at.saturating_add(bytes));
        let inside: Vec<u64> = range.map(|(at, _)| *at).collect();
        for at in inside {
            if let Some(mapping) = self.mappings.remove(&at) {
                self.change(mapping.handle, |memory| memory.mappings -= 1)?;
            }
        }
        Ok(())
    }

    /// Another reference to what an address lies in: its handle, once more.
    pub(crate) fn retain(&mut self, address: u64) -> Result<u64, CudaError> {
        let found = self.mappings.range(..=address).next_back();
        let (_, mapping) =
            found.filter(|(at, mapping)| address - **at < mapping.bytes).ok_or(CudaError::INVALID_VALUE)?;
        let handle = mapping.handle;
        self.change(handle, |memory| memory.handles += 1)?;
        Ok(handle)
    }

    /// Changes the counts of references; without any the memory is the card's again.
    fn change(&mut self, handle: u64, change: impl FnOnce(&mut Physical)) -> CudaResult {
        let memory = self.by_handle.get_mut(&handle).ok_or(CudaError::INVALID_VALUE)?;
        change(memory);
        if memory.handles == 0 && memory.mappings == 0 {
            if let Some(card) = memory.card {
                card.release(memory.bytes);
            }
            self.by_handle.remove(&handle);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::testing::Machine;

    const HANDLE: u64 = 9;
    /// Nothing is ever touched there.
    const ADDRESS: u64 = 100 * BLOCK;

    /// A card, of which two blocks are made.
    fn made() -> (&'static Card, PhysicalMemory) {
        let card: &Card = Box::leak(Box::new(Machine::new().card(4)));
        let mut memory = PhysicalMemory::default();
        memory.create(HANDLE, Some(card), 2 * BLOCK).unwrap();
        (card, memory)
    }

    #[test]
    fn it_is_the_card_s_until_it_is_released() {
        let (card, mut memory) = made();
        assert_eq!(card.used(), 2 * BLOCK);
        memory.release(HANDLE).unwrap();
        assert_eq!(card.used(), 0);
        assert_eq!(memory.release(HANDLE), Err(CudaError::INVALID_VALUE));
    }

    #[test]
    fn what_is_mapped_stays_when_it_is_released() {
        let (card, mut memory) = made();
        memory.map(ADDRESS, 2 * BLOCK, 0, HANDLE).unwrap();
        memory.release(HANDLE).unwrap();
        assert_eq!(card.used(), 2 * BLOCK);
        memory.unmap(ADDRESS, 2 * BLOCK).unwrap();
        assert_eq!(card.used(), 0);
    }

    #[test]
    fn one_range_of_addresses_unmaps_all_that_is_in_it() {
        let (card, mut memory) = made();
        memory.map(ADDRESS, BLOCK, 0, HANDLE).unwrap();
        memory.map(ADDRESS + BLOCK, BLOCK, BLOCK, HANDLE).unwrap();
        memory.release(HANDLE).unwrap();
        memory.unmap(ADDRESS, 2 * BLOCK).unwrap();
        assert_eq!(card.used(), 0);
    }

    #[test]
    fn a_handle_that_was_retained_is_released_twice() {
        let (card, mut memory) = made();
        memory.map(ADDRESS, 2 * BLOCK, 0, HANDLE).unwrap();
        assert_eq!(memory.retain(ADDRESS + BLOCK), Ok(HANDLE));
        memory.unmap(ADDRESS, 2 * BLOCK).unwrap();
        memory.release(HANDLE).unwrap();
        assert_eq!(card.used(), 2 * BLOCK);
        memory.release(HANDLE).unwrap();
        assert_eq!(card.used(), 0);
    }

    #[test]
    fn no_more_is_mapped_than_there_is() {
        let (_, mut memory) = made();
        assert_eq!(memory.map(ADDRESS, 2 * BLOCK, BLOCK, HANDLE), Err(CudaError::INVALID_VALUE));
        assert_eq!(memory.retain(ADDRESS), Err(CudaError::INVALID_VALUE), "nothing lies there");
    }

    #[test]
    fn it_is_made_in_whole_blocks_and_the_host_s_takes_none_of_the_card() {
        let (card, mut memory) = made();
        assert_eq!(memory.create(10, Some(card), BLOCK + 1), Err(CudaError::INVALID_VALUE));
        assert_eq!(memory.create(10, Some(card), 3 * BLOCK), Err(CudaError::OUT_OF_MEMORY));
        memory.create(10, None, 3 * BLOCK).unwrap();
        assert_eq!(card.used(), 2 * BLOCK);
    }
}
