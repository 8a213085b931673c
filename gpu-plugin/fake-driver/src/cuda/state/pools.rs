//! Stream-ordered memory. What is freed stays with its pool until a synchronisation or a trim, as far as the threshold lets it.

use std::collections::BTreeMap;

use crate::cuda::abi::{BLOCK, CudaError};
use crate::cuda::card::Card;
use crate::cuda::mapping::{map, unmap};

/// A pool.
#[derive(Debug)]
pub(crate) struct Pool {
    handle: usize,
    pub(crate) device: usize,
    /// What `cuDeviceGetMemPool` gives.
    pub(crate) default: bool,
    /// Not destroyed. A destroyed pool keeps what is still in use.
    live: bool,
    /// Bytes that a synchronisation leaves unused in the pool.
    pub(crate) threshold: u64,
    /// By address.
    parts: BTreeMap<u64, Part>,
}

/// A part of a pool.
#[derive(Debug)]
struct Part {
    /// In whole blocks.
    bytes: u64,
    in_use: bool,
}

impl Pool {
    /// Bytes of the card that the pool has.
    pub(crate) fn reserved(&self) -> u64 {
        self.parts.values().map(|part| part.bytes).sum()
    }

    /// Bytes of them that are allocated.
    pub(crate) fn used(&self) -> u64 {
        self.parts.values().filter(|part| part.in_use).map(|part| part.bytes).sum()
    }

    /// Gives back what is not in use until no more than `keep` bytes are left.
    pub(crate) fn trim(&mut self, card: &Card, keep: u64) {
        let unused: Vec<u64> =
            self.parts.iter().filter(|(_, part)| !part.in_use).map(|(at, _)| *at).collect();
        for at in unused {
            if self.reserved() <= keep {
                return;
            }
            if let Some(part) = self.parts.remove(&at) {
                unmap(at, part.bytes);
                card.release(part.bytes);
            }
        }
    }

    pub(crate) fn allocate(&mut self, card: &Card, bytes: u64) -> Result<u64, CudaError> {
        let whole = bytes
            .checked_next_multiple_of(BLOCK)
            .filter(|whole| *whole > 0)
            .ok_or(CudaError::INVALID_VALUE)?;
        // Exactly as large, or new: what is cut up cannot be given back in part.
        if let Some((at, part)) = self.parts.iter_mut().find(|(_, part)| !part.in_use && part.bytes == whole)
        {
            part.in_use = true;
            return Ok(*at);
        }
        card.reserve(whole)?;
        let at = map(whole).inspect_err(|_| card.release(whole))?;
        self.parts.insert(at, Part { bytes: whole, in_use: true });
        Ok(at)
    }

    /// No more is allocated from it; what is in use stays until it is freed.
    pub(crate) fn destroy(&mut self, card: &Card) {
        self.live = false;
        self.trim(card, 0);
    }
}

/// The pools of this process.
#[derive(Debug, Default)]
pub(crate) struct Pools(Vec<Pool>);

impl Pools {
    pub(crate) fn add(&mut self, handle: usize, device: usize, default: bool) {
        let parts = BTreeMap::new();
        self.0.push(Pool { handle, device, default, live: true, threshold: 0, parts });
    }

    /// The handle of a device's default pool, if it was asked for before.
    pub(crate) fn default_of(&self, device: usize) -> Option<usize> {
        self.0.iter().find(|pool| pool.default && pool.device == device).map(|pool| pool.handle)
    }

    pub(crate) fn get(&mut self, handle: usize) -> Result<&mut Pool, CudaError> {
        self.0.iter_mut().find(|pool| pool.handle == handle && pool.live).ok_or(CudaError::INVALID_HANDLE)
    }

    /// Frees an address, if it is a pool's: whether it was. `card` gives the card of a device.
    pub(crate) fn free<'a>(&mut self, at: u64, card: impl Fn(usize) -> &'a Card) -> Result<bool, CudaError> {
        let Some(pool) = self.0.iter_mut().find(|pool| pool.parts.contains_key(&at)) else {
            return Ok(false);
        };
        let part = pool.parts.get_mut(&at).filter(|part| part.in_use).ok_or(CudaError::INVALID_VALUE)?;
        part.in_use = false;
        if !pool.live {
            pool.trim(card(pool.device), 0);
        }
        Ok(true)
    }

    /// A synchronisation: pools give back what is over their thresholds.
    pub(crate) fn synchronized<'a>(&mut self, card: impl Fn(usize) -> &'a Card) {
        for pool in &mut self.0 {
            pool.trim(card(pool.device), pool.threshold);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::testing::Machine;

    const POOL: usize = 7;

    fn pools() -> Pools {
        let mut pools = Pools::default();
        pools.add(POOL, 0, false);
        pools
    }

    #[test]
    fn what_is_freed_stays_with_the_pool_until_a_synchronisation() {
        let (card, mut pools) = (Machine::new().card(4), pools());
        let at = pools.get(POOL).unwrap().allocate(&card, BLOCK).unwrap();
        assert_eq!(pools.free(at, |_| &card), Ok(true));
        let pool = pools.get(POOL).unwrap();
        assert_eq!((pool.reserved(), pool.used(), card.used()), (BLOCK, 0, BLOCK));
        pools.synchronized(|_| &card);
        assert_eq!(card.used(), 0);
    }

    #[test]
    fn a_synchronisation_leaves_as_much_as_the_threshold_says() {
        let (card, mut pools) = (Machine::new().card(4), pools());
        let pool = pools.get(POOL).unwrap();
        pool.threshold = BLOCK;
        let all = [(); 3].map(|()| pool.allocate(&card, BLOCK).unwrap());
        for at in all {
            pools.free(at, |_| &card).unwrap();
        }
        pools.synchronized(|_| &card);
        assert_eq!(card.used(), BLOCK);
    }

    #[test]
    fn a_trim_leaves_what_is_in_use() {
        let (card, mut pools) = (Machine::new().card(4), pools());
        let pool = pools.get(POOL).unwrap();
        let [freed, _kept] = [(); 2].map(|()| pool.allocate(&card, BLOCK).unwrap());
        pools.free(freed, |_| &card).unwrap();
        pools.get(POOL).unwrap().trim(&card, 0);
        assert_eq!(card.used(), BLOCK);
    }

    #[test]
    fn what_was_freed_is_given_out_again() {
        let (card, mut pools) = (Machine::new().card(1), pools());
        let at = pools.get(POOL).unwrap().allocate(&card, BLOCK).unwrap();
        pools.free(at, |_| &card).unwrap();
        assert_eq!(pools.get(POOL).unwrap().allocate(&card, 1), Ok(at));
    }

    #[test]
    fn an_address_is_freed_once() {
        let (card, mut pools) = (Machine::new().card(1), pools());
        let at = pools.get(POOL).unwrap().allocate(&card, BLOCK).unwrap();
        pools.free(at, |_| &card).unwrap();
        assert_eq!(pools.free(at, |_| &card), Err(CudaError::INVALID_VALUE));
        assert_eq!(pools.free(at + BLOCK, |_| &card), Ok(false), "another is no pool's");
    }

    #[test]
    fn what_is_in_use_outlives_its_pool() {
        let (card, mut pools) = (Machine::new().card(2), pools());
        let pool = pools.get(POOL).unwrap();
        let at = pool.allocate(&card, BLOCK).unwrap();
        pool.destroy(&card);
        assert_eq!(pools.get(POOL).err(), Some(CudaError::INVALID_HANDLE));
        assert_eq!(card.used(), BLOCK);
        pools.free(at, |_| &card).unwrap();
        assert_eq!(card.used(), 0);
    }
}
