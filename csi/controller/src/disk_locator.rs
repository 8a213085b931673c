//! Where disks are: the volume handle is the disk id alone (fixed by the guide), but every cloud call wants the region.

use std::sync::Arc;
use std::time::Duration;

use eck_csi::recent::{DISKS, Recent};
use eck_csi::volume::{DiskId, Region};
use eck_csi_kubernetes::ClusterError;
use ecx::Error;
use ecx::api::Disk;
use futures::StreamExt as _;
use futures::future::try_join_all;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::disk_reader::{DiskReader, Query};
use crate::regions::Regions;

/// In which regions a disk may be is not known: that it is in none of those that are cannot be its end.
#[derive(Debug, thiserror::Error)]
#[error(
    "disk {disk} is in no region that is known, and which others its PersistentVolume names cannot be read"
)]
pub struct RegionNotTold {
    disk: String,
    source: ClusterError,
}

/// Why it is not known where a disk is.
#[derive(Debug)]
pub(crate) enum LocateError {
    Cloud(Error),
    Region(RegionNotTold),
}

impl LocateError {
    /// As an error of the operation, which says what the cloud's mean to it.
    pub(crate) fn or<E: From<RegionNotTold>>(self, cloud: impl FnOnce(Error) -> E) -> E {
        match self {
            Self::Cloud(error) => cloud(error),
            Self::Region(error) => error.into(),
        }
    }
}

impl From<Error> for LocateError {
    fn from(error: Error) -> Self {
        Self::Cloud(error)
    }
}

/// By how much what objects name may be old where a region does not answer: whoever asks again looks again.
const NAMES: Duration = Duration::from_secs(60);

/// Whether a region is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// It must answer.
    Must,
    /// If it does not answer, nothing is known of it.
    May,
    Not,
}

/// Regions of disks, learnt as we go. A disk never changes its region, so what was learnt stays true; what is
/// forgotten is searched again.
pub(crate) struct DiskLocator {
    regions: Arc<Regions>,
    known: Mutex<Recent<String, Region, DISKS>>,
}

impl DiskLocator {
    pub(crate) fn new(regions: Arc<Regions>) -> Self {
        Self { regions, known: Mutex::default() }
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

    /// The disk as it is now, and its region. A known disk costs one read; an unknown one is looked for in every region at once,
    /// and the first that has it ends the search: a region that does not answer costs nothing then. "Not found" is only said when
    /// every region has said so, of that very disk.
    pub(crate) async fn locate(
        &self,
        reader: &DiskReader,
        disk: &DiskId,
    ) -> Result<Option<(Region, Disk)>, LocateError> {
        if let Some(region) = self.known(disk) {
            let found = reader.disk(&region, disk.as_str()).await?;
            return Ok(found.map(|found| (region, found)));
        }
        self.search(reader, disk).await
    }

    /// The same, and that there is none is said by two looks, of which the second cannot be from before the first: what an end may be
    /// founded on.
    pub(crate) async fn locate_unless_gone(
        &self,
        reader: &DiskReader,
        disk: &DiskId,
    ) -> Result<Option<(Region, Disk)>, LocateError> {
        unless_gone(reader, || self.locate(reader, disk)).await
    }

    /// The same, and that it is free is by its own word as well.
    pub(crate) async fn locate_proven(
        &self,
        reader: &DiskReader,
        disk: &DiskId,
    ) -> Result<Option<(Region, Disk)>, LocateError> {
        unless_gone(reader, || self.look_proven(reader, disk)).await
    }

    async fn look_proven(
        &self,
        reader: &DiskReader,
        disk: &DiskId,
    ) -> Result<Option<(Region, Disk)>, LocateError> {
        let region = match self.known(disk) {
            Some(region) => region,
            None => match self.search(reader, disk).await? {
                Some((region, _)) => region,
                None => return Ok(None),
            },
        };
        let found = reader.proven(&region, disk.as_str()).await?;
        Ok(found.map(|found| (region, found)))
    }

    /// A disk whose region is not known: where it may be by what is known of the cluster, and where that names it now.
    async fn search(
        &self,
        reader: &DiskReader,
        disk: &DiskId,
    ) -> Result<Option<(Region, Disk)>, LocateError> {
        let began = Instant::now();
        let asked = self.regions.of_disk(disk);
        let found = self.search_in(reader, disk, &asked).await;
        if matches!(found, Ok(Some(_))) {
            return Ok(found?);
        }
        // What is down hides nothing that is elsewhere, and proves nothing.
        let looked = if found.is_ok() {
            self.regions.look_since(began).await
        } else {
            self.regions.look_within(NAMES).await
        };
        let region = |source| LocateError::Region(RegionNotTold { disk: disk.to_string(), source });
        looked.map_err(region)?;
        let mut others = self.regions.of_disk(disk);
        others.retain(|region| !asked.contains(region));
        match self.search_in(reader, disk, &others).await? {
            Some(elsewhere) => Ok(Some(elsewhere)),
            None => Ok(found?),
        }
    }

    async fn search_in(
        &self,
        reader: &DiskReader,
        disk: &DiskId,
        regions: &[Region],
    ) -> Result<Option<(Region, Disk)>, Error> {
        for query in [Query::Hint(disk.to_string()), Query::Id(disk.to_string())] {
            if let Some((region, found)) = self.first(reader, disk, &query, regions).await? {
                self.learn(disk.as_str(), &region);
                return Ok(Some((region, found)));
            }
        }
        Ok(None)
    }

    /// That a region of the settings answers, whichever is the first; the error of the last if none does.
    pub(crate) async fn any_answer(&self, reader: &DiskReader, query: &Query) -> Result<(), Error> {
        let configured = self.regions.configured().iter();
        let looks = configured.map(|region| Box::pin(reader.ask(region, query.clone())));
        futures::future::select_ok(looks).await.map(drop)
    }

    /// What the first region has that has any.
    async fn first(
        &self,
        reader: &DiskReader,
        disk: &DiskId,
        query: &Query,
        regions: &[Region],
    ) -> Result<Option<(Region, Disk)>, Error> {
        let look = |region: &Region| {
            let region = region.clone();
            async move { (reader.ask(&region, query.clone()).await, region) }
        };
        let mut looks: FuturesUnordered<_> = regions.iter().map(look).collect();
        let mut failed = None;
        while let Some((answer, region)) = looks.next().await {
            match answer {
                Ok(mut disks) => {
                    if let Some(disk) = disks.pop() {
                        return Ok(Some((region, disk)));
                    }
                }
                Err(error) => {
                    if !self.regions.need_not_answer(&region, Some(disk)).await {
                        failed = Some(error);
                    }
                }
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// The disks that fit `query` in all regions of the cluster. An error in one region is an error.
    pub(crate) async fn everywhere(
        &self,
        reader: &DiskReader,
        query: &Query,
    ) -> Result<Vec<(Region, Disk)>, Error> {
        self.among(reader, query, |_| Ask::Must).await
    }

    /// The disks that fit `query`, in the regions that are asked: first those that must answer. Where one of them does not, the others are
    /// not asked for nothing: a claim that waits for a region comes again and again.
    pub(crate) async fn among(
        &self,
        reader: &DiskReader,
        query: &Query,
        ask: impl Fn(&Region) -> Ask,
    ) -> Result<Vec<(Region, Disk)>, Error> {
        let all = self.regions.all();
        let look = |region: &Region, must| {
            let (region, answer) = (region.clone(), reader.ask_or_skip(region, query.clone(), must));
            async move {
                let disks = match answer.await {
                    Err(_) if self.regions.need_not_answer(&region, None).await => Vec::new(),
                    answer => answer?,
                };
                Ok::<_, Error>(disks.into_iter().map(|disk| (region.clone(), disk)).collect::<Vec<_>>())
            }
        };
        let of = |kind: Ask| all.iter().filter(|region| ask(region) == kind).collect::<Vec<_>>();
        let mut found = try_join_all(of(Ask::Must).into_iter().map(|region| look(region, true))).await?;
        found.extend(try_join_all(of(Ask::May).into_iter().map(|region| look(region, false))).await?);
        Ok(found.into_iter().flatten().collect())
    }
}

/// What a look finds; that there is nothing only a second one says, so much later that it cannot be from before the first.
async fn unless_gone<T, F>(reader: &DiskReader, look: impl Fn() -> F) -> Result<Option<T>, LocateError>
where
    F: Future<Output = Result<Option<T>, LocateError>>,
{
    if let Some(found) = look().await? {
        return Ok(Some(found));
    }
    tokio::time::sleep(reader.lag()).await;
    look().await
}
