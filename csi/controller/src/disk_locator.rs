//! Where disks are: the volume handle is the disk id alone (fixed by the guide), but every cloud call wants the region.

use std::collections::HashMap;

use eck_csi::volume::{DiskId, Region};
use ecx::Error;
use ecx::api::Disk;
use futures::StreamExt as _;
use futures::future::{Either, ready, try_join_all};
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;

use crate::disk_reader::{DiskReader, Query};

/// Whether a region is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// It must answer.
    Must,
    /// If it does not answer, nothing is known of it.
    May,
    Not,
}

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

    /// The disk as it is now, and its region. A known disk costs one read; an unknown one is looked for in every region at once,
    /// and the first that has it ends the search: a region that does not answer costs nothing then. "Not found" is only said when
    /// every region has said so, of that very disk.
    pub(crate) async fn locate(
        &self,
        reader: &DiskReader,
        disk: &DiskId,
    ) -> Result<Option<(Region, Disk)>, Error> {
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
    ) -> Result<Option<(Region, Disk)>, Error> {
        unless_gone(reader, || self.locate(reader, disk)).await
    }

    /// The same, and that it is free is by its own word as well.
    pub(crate) async fn locate_proven(
        &self,
        reader: &DiskReader,
        disk: &DiskId,
    ) -> Result<Option<(Region, Disk)>, Error> {
        unless_gone(reader, || self.look_proven(reader, disk)).await
    }

    async fn look_proven(&self, reader: &DiskReader, disk: &DiskId) -> Result<Option<(Region, Disk)>, Error> {
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

    /// A disk whose region is not known.
    async fn search(&self, reader: &DiskReader, disk: &DiskId) -> Result<Option<(Region, Disk)>, Error> {
        for query in [Query::Hint(disk.to_string()), Query::Id(disk.to_string())] {
            if let Some((region, found)) = self.first(reader, &query).await? {
                self.learn(disk.as_str(), &region);
                return Ok(Some((region, found)));
            }
        }
        Ok(None)
    }

    /// That a region answers, whichever is the first; the error of the last if none does.
    pub(crate) async fn any_answer(&self, reader: &DiskReader, query: &Query) -> Result<(), Error> {
        let looks = self.all.iter().map(|region| Box::pin(reader.ask(region, query.clone())));
        futures::future::select_ok(looks).await.map(drop)
    }

    /// What the first region has that has any.
    async fn first(&self, reader: &DiskReader, query: &Query) -> Result<Option<(Region, Disk)>, Error> {
        let look = |region: &Region| {
            let region = region.clone();
            async move { (reader.ask(&region, query.clone()).await, region) }
        };
        let mut looks: FuturesUnordered<_> = self.all.iter().map(look).collect();
        let mut failed = None;
        while let Some((answer, region)) = looks.next().await {
            match answer {
                Ok(mut disks) => {
                    if let Some(disk) = disks.pop() {
                        return Ok(Some((region, disk)));
                    }
                }
                Err(error) => failed = Some(error),
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

    /// The disks that fit `query`, in the regions that are asked.
    pub(crate) async fn among(
        &self,
        reader: &DiskReader,
        query: &Query,
        ask: impl Fn(&Region) -> Ask,
    ) -> Result<Vec<(Region, Disk)>, Error> {
        let look = |region: &Region| {
            let (region, query) = (region.clone(), query.clone());
            let answer = match ask(&region) {
                Ask::Must => reader.ask_or_skip(&region, query, true),
                Ask::May => reader.ask_or_skip(&region, query, false),
                Ask::Not => return Either::Left(ready(Ok(Vec::new()))),
            };
            Either::Right(async move {
                let disks = answer.await?;
                Ok::<_, Error>(disks.into_iter().map(|disk| (region.clone(), disk)).collect::<Vec<_>>())
            })
        };
        Ok(try_join_all(self.all.iter().map(look)).await?.into_iter().flatten().collect())
    }
}

/// What a look finds; that there is nothing only a second one says, so much later that it cannot be from before the first.
async fn unless_gone<T, F>(reader: &DiskReader, look: impl Fn() -> F) -> Result<Option<T>, Error>
where
    F: Future<Output = Result<Option<T>, Error>>,
{
    if let Some(found) = look().await? {
        return Ok(Some(found));
    }
    tokio::time::sleep(reader.lag()).await;
    look().await
}
