//! What the tests of operations run against: the simulated cloud in the test's own time, which is paused, and drivers for it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use eck_csi::cluster::ClusterIdentity;
use eck_csi::operations::Operation;
use eck_csi::volume::{Region, VolumeId};
use eck_csi_fencing::Nodes as ClusterNodes;
use eck_csi_kubernetes::ClusterRegions;
use ecx::api::{Disk, DiskState, Op};
use ecx::transport::{Exchange, Outgoing, Transport};
use ecx::{Client, Profile};
use ecx_sim::world::{DiskRecord, Pending, PendingKind, World};
use ecx_sim::{Config, Effect, Fault, Local};

use crate::driver::Driver;

/// Where disks are unless a test says otherwise.
pub(crate) const REGION: &str = "zj-shaoxing-2";
pub(crate) const OTHER_REGION: &str = "fj-xiamen-4";
/// Two machines of [`REGION`], 10.0.0.3 and 10.0.0.4.
pub(crate) const MACHINE: &str = "evm-zjshaoxing21";
pub(crate) const OTHER_MACHINE: &str = "evm-zjshaoxing22";
/// The cluster of all drivers but those of another one.
pub(crate) const CLUSTER: &str = "c1";

/// Longer than the patience of the profile with one wait, 300 s.
const FOR_EVER: Duration = Duration::from_secs(400);

/// A cloud of its own for a test.
pub(crate) struct LocalCloud(Local);

impl LocalCloud {
    /// With the default regions and machines, and no disk.
    pub(crate) fn new() -> Self {
        Self::of(Config::default())
    }

    pub(crate) fn of(config: Config) -> Self {
        let cloud = Local::new(config).unwrap();
        cloud.begin();
        Self(cloud)
    }

    /// A driver that has learnt nothing yet, for a cluster in both regions.
    pub(crate) fn driver(&self) -> Arc<Driver> {
        self.driver_of(ClusterIdentity::of(CLUSTER))
    }

    /// The same for this cluster.
    pub(crate) fn driver_of(&self, cluster: ClusterIdentity) -> Arc<Driver> {
        self.driver_over(self.0.transport(1, Duration::from_secs(10)), cluster)
    }

    /// The same for a cluster whose settings name one region, and whose objects are these.
    pub(crate) fn driver_learning(&self, configured: &str, objects: Arc<dyn ClusterRegions>) -> Arc<Driver> {
        let client = self.client_over(self.0.transport(1, Duration::from_secs(10)));
        let cluster = ClusterIdentity::of(CLUSTER);
        Arc::new(Driver::learning(client, cluster, vec![region(configured)], objects))
    }

    /// A driver that asks these which machine a node is.
    pub(crate) fn driver_identifying(&self, nodes: Arc<dyn ClusterNodes>) -> Arc<Driver> {
        let client = self.client_over(self.0.transport(1, Duration::from_secs(10)));
        let driver = Driver::new(client, ClusterIdentity::of(CLUSTER), vec![region(REGION)]);
        Arc::new(driver.identifying(nodes))
    }

    /// The same before a cloud that does not tell which machine holds a disk.
    pub(crate) fn driver_without_holders(&self) -> Arc<Driver> {
        let transport = self.0.transport(1, Duration::from_secs(10));
        self.driver_over(Arc::new(WithoutHolders(transport)), ClusterIdentity::of(CLUSTER))
    }

    fn driver_over(&self, transport: Arc<dyn Transport>, cluster: ClusterIdentity) -> Arc<Driver> {
        let regions = [REGION, OTHER_REGION].map(region);
        Arc::new(Driver::new(self.client_over(transport), cluster, regions.into()))
    }

    fn client_over(&self, transport: Arc<dyn Transport>) -> Arc<Client> {
        let profile = Profile { base_url: "http://ecx-sim".into(), ..Profile::default() };
        Arc::new(Client::over(transport, profile, self.0.credentials()))
    }

    pub(crate) fn add(&self, disk: Disk) {
        self.record(disk, None, None);
    }

    /// The disk is on the machine.
    pub(crate) fn add_held(&self, disk: Disk, machine: &str) {
        self.record(Disk { disk_status: DiskState::InUse, ..disk }, Some(machine), None);
    }

    /// Something goes on with the disk for two seconds, after which it is free.
    pub(crate) fn add_busy(&self, disk: Disk) {
        let due = self.0.now_ms() + 2000;
        let kind = PendingKind::Detach { instance: OTHER_MACHINE.into() };
        let pending = Pending { kind, due, handle: String::new(), fails: false };
        self.record(Disk { disk_status: DiskState::Detaching, ..disk }, None, Some(pending));
    }

    fn record(&self, disk: Disk, holder: Option<&str>, pending: Option<Pending>) {
        let holder = holder.map(str::to_owned);
        let id = disk.disk_id.clone();
        let record = DiskRecord { disk, holder, pending, history: Vec::new() };
        self.0.change(|world| world.disks.insert(id, record));
    }

    /// The next `count` requests of the operation are met by this.
    pub(crate) fn meets(&self, op: Op, count: u32, effect: Effect) {
        self.0.fault(Fault { op: Some(op), contains: None, skip: 0, count, effect });
    }

    /// Every request of the operation that names the region is met by this.
    pub(crate) fn meets_in(&self, region: &str, op: Op, effect: Effect) {
        self.0.fault(Fault { op: Some(op), contains: Some(region.into()), skip: 0, count: 0, effect });
    }

    /// The world changes after so long.
    pub(crate) async fn after(&self, ms: u64, change: impl FnOnce(&mut World)) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.0.change(change);
    }

    /// So long as something else goes on the world changes every 100 ms.
    pub(crate) async fn always(&self, change: impl Fn(&mut World)) {
        loop {
            self.after(100, &change).await;
        }
    }

    /// The bodies or queries of the operation's requests.
    pub(crate) fn sent(&self, op: Op) -> Vec<String> {
        self.0.log_from(0).into_iter().filter(|entry| entry.op == op).map(|entry| entry.text).collect()
    }

    /// The disk as the cloud has it.
    pub(crate) fn record_of(&self, id: &str) -> DiskRecord {
        self.0.look(|world| world.disks[id].clone())
    }
}

impl Deref for LocalCloud {
    type Target = Local;

    fn deref(&self) -> &Local {
        &self.0
    }
}

/// Leaves the holder out of what is told of disks.
struct WithoutHolders(Arc<dyn Transport>);

impl Transport for WithoutHolders {
    fn exchange(&self, request: Outgoing) -> Exchange<'_> {
        Box::pin(async move {
            let of_disks = request.url.contains("/v4/ebs/");
            let mut reply = self.0.exchange(request).await?;
            if of_disks {
                let body = String::from_utf8(reply.body).unwrap();
                reply.body =
                    body.replace(r#""attachments""#, r#""a""#).replace(r#""instanceID""#, r#""i""#).into();
            }
            Ok(reply)
        })
    }

    fn now(&self) -> SystemTime {
        self.0.now()
    }

    fn random(&self) -> u128 {
        self.0.random()
    }
}

pub(crate) fn region(code: &str) -> Region {
    Region::parse("region", code).unwrap()
}

pub(crate) fn volume(id: &str) -> VolumeId {
    VolumeId::parse(id.into()).unwrap()
}

/// A free disk of 20 GiB in [`REGION`].
pub(crate) fn disk(id: &str) -> Disk {
    Disk {
        disk_id: id.into(),
        disk_size: 20,
        disk_type: "SAS".into(),
        disk_status: DiskState::Available,
        region_id: REGION.into(),
        ..Disk::default()
    }
}

/// What the operation ends with. One that loops for ever is a test that fails.
pub(crate) async fn run<O: Operation<Driver>>(
    driver: &Arc<Driver>,
    operation: O,
) -> Result<O::Output, O::Error> {
    let running = Arc::new(operation).run(Arc::clone(driver));
    tokio::time::timeout(FOR_EVER, running).await.expect("the operation does not end")
}
