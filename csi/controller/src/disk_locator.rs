//! Where disks are: the volume handle is the disk id alone (fixed by the guide), but every cloud call wants the region.

use std::collections::HashMap;

use eck_csi::volume::{DiskId, Region};
use ecx::Error;
use ecx::api::Disk;
use futures::future::join_all;
use parking_lot::Mutex;

use crate::disk_reader::{DiskReader, Query};

/// Regions of disks, learnt as we go. A disk never changes its region, so what was learnt stays true.
pub(crate) struct DiskLocator {
    all: Vec<Region>,
    known: Mutex<HashMap<String, Region>>,
}

impl DiskLocator {
    pub(crate) fn new(all: Vec<Region>) -> Self {
        Self { all, known: Mutex::default() }
    }

    /// All regions of the cluster.
    pub(crate) fn all(&self) -> &[Region] {
        &self.all
    }

    /// Remembers where a disk is.
    pub(crate) fn learn(&self, disk: &str, region: &Region) {
        let mut known = self.known.lock();
        known.insert(disk.to_owned(), region.clone());
    }

    /// Where a disk is, if that was learnt already.
    pub(crate) fn known(&self, disk: &DiskId) -> Option<Region> {
        self.known.lock().get(disk.as_str()).cloned()
    }

    /// Forgets a disk that is gone.
    pub(crate) fn forget(&self, disk: &str) {
        self.known.lock().remove(disk);
    }

    /// The disk as it is now, and its region. A known disk costs one read; an unknown one a read in every region. "Not
    /// found" is only said when every region has said so.
    pub(crate) async fn locate(
        &self,
        reader: &DiskReader,
        disk: &DiskId,
    ) -> Result<Option<(Region, Disk)>, Error> {
        if let Some(region) = self.known(disk) {
            let found = reader.disk(&region, disk.as_str()).await?;
            return Ok(found.map(|found| (region, found)));
        }
        let found = self.everywhere(reader, &Query::Id(disk.to_string())).await?;
        let first = found.into_iter().next();
        if let Some((region, _)) = &first {
            self.learn(disk.as_str(), region);
        }
        Ok(first)
    }

    /// The disks that fit `query` in all regions of the cluster; see [`Self::among`].
    pub(crate) async fn everywhere(
        &self,
        reader: &DiskReader,
        query: &Query,
    ) -> Result<Vec<(Region, Disk)>, Error> {
        self.among(&self.all, reader, query).await
    }

    /// The disks that fit `query` in `regions`. An error in one region is an error, unless `query` is by id and another
    /// region has the disk: ids are unique.
    pub(crate) async fn among(
        &self,
        regions: &[Region],
        reader: &DiskReader,
        query: &Query,
    ) -> Result<Vec<(Region, Disk)>, Error> {
        let looks = regions.iter().map(|region| async move {
            let disks = reader.ask(region, query.clone()).await?;
            Ok::<_, Error>(disks.into_iter().map(|disk| (region.clone(), disk)).collect::<Vec<_>>())
        });
        let (mut found, mut failed) = (Vec::new(), None);
        for look in join_all(looks).await {
            match look {
                Ok(disks) => found.extend(disks),
                Err(error) => failed = Some(error),
            }
        }
        let decided = matches!(query, Query::Id(_)) && !found.is_empty();
        match failed {
            Some(error) if !decided => Err(error),
            _ => Ok(found),
        }
    }
}
