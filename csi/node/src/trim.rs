//! The fstrim of volumes whose class says `discard: periodic`, a part of a disk at a time.

use std::sync::Arc;

use eck_csi::operations::{OnConflict, Operation, blocking};
use eck_csi::volume::DiskId;

use crate::driver::Driver;
use crate::error::TrimError;
use crate::host::Host;

pub(crate) mod schedule;
mod weekly;

pub(crate) use weekly::WeeklyTrim;

/// A part of what fstrim does to a disk, short enough for an unstage to wait for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TrimRequest {
    pub(crate) disk: DiskId,
    /// The byte of the disk with which the part begins.
    pub(crate) from: u64,
}

impl<H: Host> Operation<Driver<H>> for TrimRequest {
    /// Where the next part begins; `None` at the disk's end.
    type Output = Option<u64>;
    type Error = TrimError;
    const NAME: &'static str = "trim";

    fn key(&self) -> String {
        self.disk.to_string()
    }

    fn on_conflict(_: bool) -> OnConflict {
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver<H>>) -> Result<Option<u64>, TrimError> {
        blocking(move || trim_part(&driver.host, &self.disk, self.from)).await
    }
}

/// Bytes of a disk that are trimmed at once: an unstage waits for no more than these.
const PART: u64 = 16 << 30;

/// Trims a part of the volume's disk, `from` a byte on; gives where the next one begins, `None` at the disk's end.
fn trim_part(host: &impl Host, disk: &DiskId, from: u64) -> Result<Option<u64>, TrimError> {
    let not_there = || TrimError::NotFound { disk: disk.to_string() };
    let devices = host.devices(&disk.serials())?;
    let [device] = devices.as_slice() else { return Err(not_there()) };
    let device = host.content_device(disk, device)?;
    let table = host.mounts()?;
    let mount = table.of_device((device.major, device.minor)).find(|mount| !mount.read_only);
    let bytes = part_length(device.size_bytes, from);
    host.trim(&mount.ok_or_else(not_there)?.target, from, bytes)?;
    Ok(Some(from + bytes).filter(|next| *next < device.size_bytes))
}

/// Bytes of the part of a disk that begins at `from`. The last one is no smaller than the others: a file system ends a
/// little before its disk, and the kernel refuses to trim what begins behind the end (ioctl `FITRIM`).
fn part_length(size: u64, from: u64) -> u64 {
    let rest = size.saturating_sub(from);
    if rest < 2 * PART { rest } else { PART }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_trimmed_whole_and_the_last_part_is_a_large_one() {
        for gib in [1, 16, 20, 31, 32, 100, 32_768] {
            let (size, mut end) = (gib << 30, 0);
            while end < size {
                let bytes = part_length(size, end);
                assert!(bytes >= PART.min(size) && bytes < 2 * PART);
                end += bytes;
            }
            assert_eq!(end, size);
        }
    }
}
