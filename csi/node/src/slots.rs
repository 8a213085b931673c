//! NodeGetInfo: how many disks the cluster may attach to this node.

use std::sync::Arc;

use eck_csi::driver::MAX_DISKS_PER_NODE;
use eck_csi::operations::blocking;

use crate::driver::Driver;
use crate::error::SlotsError;
use crate::host::Host;

/// Disks that the cluster may attach to this node: at least 1, since the scheduler takes 0 for "no limit".
pub(crate) async fn attachable_disks<H: Host>(driver: Arc<Driver<H>>) -> Result<u32, SlotsError> {
    blocking(move || {
        let taken = driver.host.foreign_disks()?.saturating_add(driver.settings.reserved_disks);
        Ok(MAX_DISKS_PER_NODE.saturating_sub(taken).max(1))
    })
    .await
}
