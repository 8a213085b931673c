//! In which regions the cluster's disks can be: those of the settings, and those that its nodes and volumes name. A region that was taken
//! out of the settings keeps its disks, and a node pool in a new one works without a change of them.
//!
//! What objects name is a hint: a node of a machine that is not the cloud's may call itself as it likes. A region is the cloud's when the
//! cloud shows a machine there. Where a disk is looked for, every region that may be one must answer; where one is ordered, only a region
//! that is one may be asked.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use eck_csi::volume::{DiskId, Region};
use eck_csi_kubernetes::{ClusterError, ClusterRegions, NamedRegions};
use ecx::{Client, Error};
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long it is believed that the cloud has no machine in a region: the first node of a new pool is waited for as long. The provisioner
/// asks for each node's region once a minute and class (`--capacity-poll-interval`), which is one call then.
const FRESH: Duration = Duration::from_secs(60);

/// Regions, learnt as we go.
pub(crate) struct Regions {
    configured: Vec<Region>,
    client: Arc<Client>,
    /// Who knows the cluster's objects, if anybody does.
    cluster: Option<Arc<dyn ClusterRegions>>,
    learnt: Mutex<Learnt>,
    /// Who reads the objects holds this.
    looking: tokio::sync::Mutex<()>,
}

/// What the settings do not say.
#[derive(Default)]
struct Learnt {
    /// Other regions that an object names, or that were asked for and are the cloud's.
    others: BTreeSet<Region>,
    /// The other regions that a disk's own PersistentVolume names.
    of_disks: HashMap<String, BTreeSet<Region>>,
    /// Whether the cloud has machines there, and since when that is known.
    machines: HashMap<Region, (bool, Instant)>,
    /// When the last look at the objects began.
    looked: Option<Instant>,
}

impl Learnt {
    /// What is known of a region without a call. That it is the cloud's stays true.
    fn machines(&self, region: &Region) -> Option<bool> {
        let (some, since) = self.machines.get(region)?;
        (*some || since.elapsed() < FRESH).then_some(*some)
    }

    /// Takes what the objects name, but for what the settings say.
    fn take(&mut self, configured: &[Region], named: NamedRegions, began: Instant) {
        let other = |region: &Region| !configured.contains(region);
        self.of_disks.clear();
        for (disk, regions) in named.volumes {
            for region in regions.into_iter().filter(other) {
                self.others.insert(region.clone());
                self.of_disks.entry(disk.clone()).or_default().insert(region);
            }
        }
        self.others.extend(named.nodes.into_iter().filter(other));
        self.looked = Some(began);
    }
}

impl Regions {
    pub(crate) fn new(configured: Vec<Region>, client: Arc<Client>) -> Self {
        Self {
            configured,
            client,
            cluster: None,
            learnt: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
        }
    }

    /// The same; other regions are learnt from the cluster.
    pub(crate) fn of_cluster(self, cluster: Arc<dyn ClusterRegions>) -> Self {
        Self { cluster: Some(cluster), ..self }
    }

    /// The regions of the settings: where a disk is made if nobody says where.
    pub(crate) fn configured(&self) -> &[Region] {
        &self.configured
    }

    /// Every region in which the cluster may have disks, but for those of which the cloud has just not known.
    pub(crate) fn all(&self) -> Vec<Region> {
        let learnt = self.learnt.lock();
        let others = learnt.others.iter().filter(|region| learnt.machines(region) != Some(false));
        self.configured.iter().chain(others).cloned().collect()
    }

    /// The same, of which each is the cloud's, or the cloud does not tell.
    pub(crate) async fn all_known(&self) -> Vec<Region> {
        let known =
            |region: Region| async move { self.known(&region).await.unwrap_or(true).then_some(region) };
        join_all(self.all().into_iter().map(known)).await.into_iter().flatten().collect()
    }

    /// Every region in which this disk may be: also those that its PersistentVolume names, whatever the cloud says of them.
    pub(crate) fn of_disk(&self, disk: &DiskId) -> Vec<Region> {
        let mut regions = self.all();
        let learnt = self.learnt.lock();
        let own = learnt.of_disks.get(disk.as_str()).into_iter().flatten();
        regions.extend(own.filter(|region| !regions.contains(region)).cloned().collect::<Vec<_>>());
        regions
    }

    /// Whether the region is the cloud's: of the settings, or with a machine.
    pub(crate) async fn known(&self, region: &Region) -> Result<bool, Error> {
        if self.configured.contains(region) {
            return Ok(true);
        }
        if let Some(some) = self.learnt.lock().machines(region) {
            return Ok(some);
        }
        let some = self.client.has_instances(region.as_str()).await?;
        let mut learnt = self.learnt.lock();
        learnt.machines.insert(region.clone(), (some, Instant::now()));
        if some && learnt.others.insert(region.clone()) {
            tracing::info!(%region, "The cloud has machines in a region that is not in the settings");
        }
        Ok(some)
    }

    /// Whether nothing is missing that the region did not answer: it is in neither the settings nor the disk's own PersistentVolume, and
    /// none of the cloud's.
    pub(crate) async fn need_not_answer(&self, region: &Region, disk: Option<&DiskId>) -> bool {
        let own = disk.is_some_and(|disk| {
            let learnt = self.learnt.lock();
            learnt.of_disks.get(disk.as_str()).is_some_and(|regions| regions.contains(region))
        });
        !own && matches!(self.known(region).await, Ok(false))
    }

    /// Makes sure that what is known of the cluster's objects is not older than `since`. Without an API server there is nothing to know.
    pub(crate) async fn look_since(&self, since: Instant) -> Result<(), ClusterError> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        let _looking = self.looking.lock().await;
        // Whoever looked while we waited may have begun late enough.
        if self.learnt.lock().looked.is_some_and(|looked| looked >= since) {
            return Ok(());
        }
        let began = Instant::now();
        let named = cluster.named().await?;
        self.learnt.lock().take(&self.configured, named, began);
        Ok(())
    }

    /// The same, not older than `age`.
    pub(crate) async fn look_within(&self, age: Duration) -> Result<(), ClusterError> {
        if self.learnt.lock().looked.is_some_and(|looked| looked.elapsed() < age) {
            return Ok(());
        }
        self.look_since(Instant::now()).await
    }
}

#[cfg(test)]
mod tests;
