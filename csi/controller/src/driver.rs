//! What the operations share.

use std::sync::Arc;

use eck_csi::cluster::ClusterIdentity;
use eck_csi::volume::{Region, VolumeId};
use eck_csi_fencing::Nodes as ClusterNodes;
use eck_csi_kubernetes::{ClusterError, ClusterRegions, now};
use ecx::Client;
use ecx::api::Disk;
use tokio::time::Instant;

use crate::args::DetachPolicy;
use crate::attach_queue::AttachQueue;
use crate::detach_policy::DetachGuard;
use crate::disk_locator::DiskLocator;
use crate::disk_reader::DiskReader;
use crate::error::ReadError;
use crate::left_machines::LeftMachines;
use crate::machines::Machines;
use crate::nodes::Nodes;
use crate::open_orders::OpenOrders;
use crate::order_attempts::OrderAttempts;
use crate::publish_modes::PublishModes;
use crate::regions::Regions;
use crate::silent_regions::SilentRegions;

/// The cloud account, the cluster's regions, and what was learnt of both.
pub struct Driver {
    pub(crate) client: Arc<Client>,
    pub(crate) reader: DiskReader,
    pub(crate) regions: Arc<Regions>,
    pub(crate) disk_locator: DiskLocator,
    pub(crate) nodes: Nodes,
    pub(crate) attach_queue: AttachQueue,
    pub(crate) order_attempts: OrderAttempts,
    pub(crate) open_orders: OpenOrders,
    pub(crate) publish_modes: PublishModes,
    pub(crate) left_machines: LeftMachines,
    pub(crate) machines: Machines,
    pub(crate) silent_regions: SilentRegions,
    /// Who is asked before a disk leaves a node that may be cut off, if anybody is.
    pub(crate) detach_guard: Option<DetachGuard>,
    pub(crate) cluster: ClusterIdentity,
}

impl Driver {
    /// A driver for the cluster `cluster` (its id is part of client tokens, and both id and UID mark its disks) in `regions`.
    pub fn new(client: Arc<Client>, cluster: ClusterIdentity, regions: Vec<Region>) -> Self {
        Self::of_regions(Regions::new(regions, Arc::clone(&client)), client, cluster)
    }

    /// The same, that learns of other regions from the cluster.
    pub fn learning(
        client: Arc<Client>,
        cluster: ClusterIdentity,
        regions: Vec<Region>,
        objects: Arc<dyn ClusterRegions>,
    ) -> Self {
        let regions = Regions::new(regions, Arc::clone(&client)).of_cluster(objects);
        Self::of_regions(regions, client, cluster)
    }

    fn of_regions(regions: Regions, client: Arc<Client>, cluster: ClusterIdentity) -> Self {
        let (reader, regions) = (DiskReader::new(Arc::clone(&client)), Arc::new(regions));
        let disk_locator = DiskLocator::new(Arc::clone(&regions));
        let (nodes, attach_queue) = (Nodes::default(), AttachQueue::default());
        let (order_attempts, publish_modes) = (OrderAttempts::default(), PublishModes::default());
        let (open_orders, left_machines) = (OpenOrders::default(), LeftMachines::default());
        Self {
            client,
            reader,
            regions,
            disk_locator,
            nodes,
            attach_queue,
            order_attempts,
            open_orders,
            publish_modes,
            left_machines,
            machines: Machines::default(),
            silent_regions: SilentRegions::default(),
            detach_guard: None,
            cluster,
        }
    }

    /// The same, that takes a disk from a machine that may run only by the policy.
    pub fn guarded(self, policy: DetachPolicy, nodes: Arc<dyn ClusterNodes>) -> Self {
        Self { detach_guard: Some(DetachGuard { policy, nodes, now }), ..self }
    }

    /// Learns which regions the cluster's objects name now.
    pub(crate) async fn learn_regions(&self) -> Result<(), ClusterError> {
        self.regions.look_since(Instant::now()).await
    }

    /// The same, that asks a node's object which machine it is where its address leaves that open.
    pub fn identifying(self, nodes: Arc<dyn ClusterNodes>) -> Self {
        Self { nodes: self.nodes.asking(nodes), ..self }
    }

    /// The disk of a volume that must exist, and its region.
    pub(crate) async fn existing(&self, volume: &VolumeId) -> Result<(Region, Disk), ReadError> {
        let none = || ReadError::NoVolume(volume.to_string());
        let disk = volume.disk().ok_or_else(none)?;
        let located = self.disk_locator.locate(&self.reader, &disk).await;
        located.map_err(|error| error.or(ReadError::Cloud))?.ok_or_else(none)
    }

    /// The disk type that a StorageClass's type means.
    pub(crate) fn disk_type<'a>(&'a self, wanted: Option<&'a str>) -> &'a str {
        wanted.unwrap_or(&self.client.profile().default_disk_type)
    }
}

#[cfg(test)]
mod tests {
    use eck_csi::recent::{DISKS, ORDERS};
    use eck_csi::volume::DiskId;

    use crate::local_cloud::{LocalCloud, REGION, disk, region};

    /// Finding D17.
    #[tokio::test(start_paused = true)]
    async fn what_is_learnt_of_disks_and_orders_does_not_grow_for_ever() {
        let driver = LocalCloud::new().driver();
        let here = region(REGION);
        for n in 0..3 * DISKS {
            let id = format!("cd-{n}");
            driver.disk_locator.learn(&id, &here);
            driver.left_machines.left(&id, "evm-1");
            driver.publish_modes.publish(&disk(&id), "evm-1", true);
        }
        for n in 0..3 * ORDERS {
            let name = format!("pvc-{n}");
            driver.open_orders.sent(&name, &here);
            driver.order_attempts.failed(&name, 7);
        }
        let id = |n: usize| DiskId::parse(&format!("cd-{n}")).unwrap();
        let first_and_last = [0, 3 * DISKS - 1].map(|n| driver.disk_locator.known(&id(n)).is_some());
        assert_eq!(first_and_last, [false, true]);
        let left =
            [0, 3 * DISKS - 1].map(|n| driver.left_machines.left_for(id(n).as_str(), "evm-1").is_some());
        assert_eq!(left, [false, true]);
        let there = [0, 3 * DISKS - 1].map(|n| driver.publish_modes.known_for(&id(n), "evm-1").is_some());
        assert_eq!(there, [false, true]);
        let open = [0, 3 * ORDERS - 1].map(|n| !driver.open_orders.of(&format!("pvc-{n}")).is_empty());
        assert_eq!(open, [false, true]);
        let next = [0, 3 * ORDERS - 1].map(|n| driver.order_attempts.next(&format!("pvc-{n}")));
        assert_eq!(next, [1, 8]);
    }
}
