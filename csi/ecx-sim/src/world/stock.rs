//! What a region can still sell, and what the account may still hold.

use ecx::codes;

use super::state::{Refusal, World};

impl World {
    /// Takes `gib` out of the stock: for a new disk, or for the growth of one.
    pub(super) fn take(&mut self, region: &str, disk_type: &str, gib: u64) -> Result<(), Refusal> {
        match self.regions.get_mut(region).and_then(|r| r.stock.get_mut(disk_type)) {
            Some(left) if *left >= gib => {
                *left -= gib;
                Ok(())
            }
            _ => Err(Refusal::new(codes::SOLD_OUT, format!("{disk_type} is sold out in {region}"))),
        }
    }

    /// Puts `gib` back: a disk is gone, or did not grow.
    pub(super) fn put_back(&mut self, region: &str, disk_type: &str, gib: u64) {
        if let Some(left) = self.regions.get_mut(region).and_then(|r| r.stock.get_mut(disk_type)) {
            *left += gib;
        }
    }

    /// Of each disk type the region has `gib` left: others bought the rest, or it was filled up.
    pub fn set_stock(&mut self, region: &str, gib: u64) -> Result<(), Refusal> {
        self.region(region)?;
        self.regions
            .get_mut(region)
            .into_iter()
            .flat_map(|r| r.stock.values_mut())
            .for_each(|left| *left = gib);
        Ok(())
    }

    /// Refuses what would be more than the account's quota in the region.
    pub(super) fn within_quota(&self, region: &str, more: u64) -> Result<(), Refusal> {
        let held = self.disks.values().filter(|d| d.disk.region_id == region);
        let (used, quota) = (held.map(|d| d.disk.disk_size).sum::<u64>(), self.region(region)?.quota_gib);
        if used + more > quota {
            return Err(Refusal::new(codes::QUOTA, format!("{used} of {quota} GiB are used")));
        }
        Ok(())
    }
}
