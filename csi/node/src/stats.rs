//! NodeGetVolumeStats: bytes and inodes of a file system, the size of a block volume.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eck_csi::operations::{OnConflict, Operation};
use eck_csi::volume::DiskId;
use proto::csi::v1 as pb;

use crate::driver::Driver;
use crate::error::StatsError;
use crate::fields::{RequestError, volume_at};
use crate::host::{FsStats, Host};
use crate::probes::{Probe, on_own_thread};

/// NodeGetVolumeStats.
#[derive(Debug, PartialEq, Eq)]
pub struct StatsRequest {
    /// The disk.
    pub disk: DiskId,
    /// Where the volume is staged or published.
    pub path: PathBuf,
}

impl TryFrom<pb::NodeGetVolumeStatsRequest> for StatsRequest {
    type Error = RequestError;

    fn try_from(request: pb::NodeGetVolumeStatsRequest) -> Result<Self, RequestError> {
        let (_, disk, path) = volume_at(request.volume_id, request.volume_path)?;
        Ok(Self { disk, path })
    }
}

/// What a volume has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stats {
    /// A file system.
    Fs(FsStats),
    /// A block device of so many bytes.
    Block(u64),
}

impl<H: Host> Operation<Driver<H>> for StatsRequest {
    type Output = Stats;
    type Error = StatsError;
    const NAME: &'static str = "NodeGetVolumeStats";
    const KEY_IS: &'static str = "csi.volume_path";

    fn key(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    fn on_conflict(_: bool) -> OnConflict {
        // The next one would hang where the first does.
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver<H>>) -> Result<Stats, StatsError> {
        on_own_thread(move || stats(&driver.host, &self.disk, &self.path)).await
    }
}

impl<H: Host> Probe<Driver<H>> for StatsRequest {
    fn no_answer(&self) -> Result<Stats, StatsError> {
        Err(StatsError::Hangs { path: self.path.clone() })
    }
}

/// May hang as long as the file system does.
fn stats(host: &impl Host, disk: &DiskId, path: &Path) -> Result<Stats, StatsError> {
    let disks = host.devices(&disk.serials())?.into_iter();
    let tops = disks.map(|device| host.content_device(disk, &device)).collect::<Result<Vec<_>, _>>()?;
    let is_ours = |number: (u64, u64)| tops.iter().find(|d| (d.major, d.minor) == number);
    let mount = host.mounts()?.at(path).cloned();
    let not_there = || StatsError::NotFound { path: path.to_owned() };
    match mount {
        None => Err(not_there()),
        Some(mount) if is_ours(mount.device).is_some() => Ok(Stats::Fs(host.stats(path)?)),
        Some(_) => {
            let device = host.block_device_at(path)?.and_then(is_ours);
            device.map(|device| Stats::Block(device.size_bytes)).ok_or_else(not_there)
        }
    }
}
