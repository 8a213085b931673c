//! A cluster whose settings name one region, and whose nodes and volumes name others.

use ecx::api::Op;
use ecx_sim::Effect;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::csi::v1 as pb;
use serve::code::GrpcCode as _;
use tonic::Code;

use super::*;
use crate::capacity::capacity;
use crate::create::CreateRequest;
use crate::delete::DeleteRequest;
use crate::detach::DetachRequest;
use crate::driver::Driver;
use crate::error::{CreateError, DeleteError};
use crate::list::list;
use crate::local_cloud::{LocalCloud, MACHINE, OTHER_REGION, REGION, disk, region, run, volume};

/// Called a region by a node of somebody else's machine.
const OWN_DC: &str = "my-own-dc";

/// The cluster's objects; `None` while the API server does not answer.
#[derive(Default)]
struct Objects(Mutex<Option<NamedRegions>>);

impl Objects {
    /// Which name these of their nodes, and of the volume `cd-1`.
    fn set(&self, nodes: &[&str], volumes: &[&str]) {
        let volumes = vec![("cd-1".to_owned(), volumes.iter().map(|code| region(code)).collect())];
        let nodes = nodes.iter().map(|code| region(code)).collect();
        *self.0.lock() = Some(NamedRegions { nodes, volumes });
    }
}

impl ClusterRegions for Objects {
    fn named(&self) -> BoxFuture<'_, Result<NamedRegions, ClusterError>> {
        let named = self.0.lock().clone().ok_or(ClusterError::Slow(Duration::from_secs(30)));
        std::future::ready(named).boxed()
    }
}

/// A cloud with the disk `cd-1` in [`REGION`], and a driver whose settings name [`OTHER_REGION`].
fn taken_out(nodes: &[&str], volumes: &[&str]) -> (LocalCloud, Arc<Driver>, Arc<Objects>) {
    let (cloud, objects) = (LocalCloud::new(), Arc::new(Objects::default()));
    objects.set(nodes, volumes);
    let driver = cloud.driver_learning(OTHER_REGION, Arc::clone(&objects) as Arc<dyn ClusterRegions>);
    (cloud, driver, objects)
}

async fn delete(driver: &Arc<Driver>) -> Result<(), DeleteError> {
    let request: DeleteRequest =
        pb::DeleteVolumeRequest { volume_id: "cd-1".into(), ..Default::default() }.try_into().unwrap();
    run(driver, request).await
}

/// Finding A2.
#[tokio::test(start_paused = true)]
async fn a_disk_of_a_region_that_was_taken_out_of_the_settings_is_refunded() {
    for (nodes, volumes) in [(&[] as &[&str], &[REGION] as &[&str]), (&[REGION], &[])] {
        let (cloud, driver, _) = taken_out(nodes, volumes);
        cloud.add(disk("cd-1"));
        delete(&driver).await.unwrap();
        assert_eq!(cloud.sent(Op::DeleteDisk).len(), 1, "{nodes:?} {volumes:?}");
        // Once it is gone there it is gone.
        delete(&driver).await.unwrap();
    }
}

/// Finding A2.
#[tokio::test(start_paused = true)]
async fn a_disk_of_a_region_that_was_taken_out_of_the_settings_is_detached_and_listed() {
    let (cloud, driver, _) = taken_out(&[], &[REGION]);
    cloud.add_held(disk("cd-1"), MACHINE);
    let listed = list(&driver, pb::ListVolumesRequest::default()).await.unwrap();
    let ids: Vec<String> = listed.entries.into_iter().filter_map(|one| Some(one.volume?.volume_id)).collect();
    assert_eq!(ids, ["cd-1"]);
    run(&driver, DetachRequest { volume: volume("cd-1"), node: None }).await.unwrap();
    assert_eq!(cloud.sent(Op::DetachDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_region_that_an_object_names_only_later_is_asked_too() {
    let (cloud, driver, objects) = taken_out(&[], &[]);
    driver.learn_regions().await.unwrap();
    cloud.add(disk("cd-1"));
    objects.set(&[], &[REGION]);
    delete(&driver).await.unwrap();
    assert_eq!(cloud.sent(Op::DeleteDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_region_that_is_down_hides_no_disk_of_one_that_is_named() {
    let (cloud, driver, _) = taken_out(&[], &[REGION]);
    cloud.add(disk("cd-1"));
    for op in [Op::GetDisk, Op::ListDisks] {
        cloud.meets_in(OTHER_REGION, op, Effect::Http { status: 503 });
    }
    delete(&driver).await.unwrap();
    assert_eq!(cloud.sent(Op::DeleteDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_the_objects_cannot_be_read_no_disk_is_gone() {
    let (cloud, driver, objects) = taken_out(&[], &[]);
    cloud.add(disk("cd-1"));
    *objects.0.lock() = None;
    let error = delete(&driver).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(error.to_string().starts_with("disk cd-1 is in no region that is known"), "{error}");
    assert_eq!(cloud.sent(Op::DeleteDisk).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_disk_is_not_gone_while_a_region_that_may_have_it_is_down() {
    for (nodes, volumes) in [(&[] as &[&str], &[REGION] as &[&str]), (&[REGION], &[])] {
        let (cloud, driver, _) = taken_out(nodes, volumes);
        for op in [Op::GetDisk, Op::ListDisks, Op::ListInstances] {
            cloud.meets_in(REGION, op, Effect::Http { status: 503 });
        }
        assert_eq!(delete(&driver).await.unwrap_err().code(), Code::Unavailable, "{nodes:?} {volumes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_no_region_of_the_clouds_hides_no_disk_but_its_own() {
    let (_cloud, driver, objects) = taken_out(&[OWN_DC], &[]);
    delete(&driver).await.unwrap();
    objects.set(&[OWN_DC], &[OWN_DC]);
    driver.learn_regions().await.unwrap();
    let error = delete(&driver).await.unwrap_err();
    assert!(matches!(error, DeleteError::Cloud { source: Error::Parameter(_), .. }), "{error}");
}

fn topology(code: &str) -> pb::Topology {
    pb::Topology { segments: [(eck_csi::driver::TOPOLOGY_REGION.to_owned(), code.to_owned())].into() }
}

/// Creates a volume that may be in these regions.
async fn create_in(driver: &Arc<Driver>, requisite: &[&str]) -> Result<Region, CreateError> {
    use pb::volume_capability::{AccessMode, AccessType, MountVolume, access_mode};
    let mode = AccessMode { mode: access_mode::Mode::SingleNodeWriter.into() };
    let access_type = Some(AccessType::Mount(MountVolume::default()));
    let requisite: Vec<_> = requisite.iter().map(|code| topology(code)).collect();
    let message = pb::CreateVolumeRequest {
        name: "pvc-1".into(),
        volume_capabilities: vec![pb::VolumeCapability { access_mode: Some(mode), access_type }],
        accessibility_requirements: Some(pb::TopologyRequirement { preferred: requisite.clone(), requisite }),
        ..Default::default()
    };
    let request: CreateRequest = message.try_into().unwrap();
    Ok(run(driver, request).await?.region)
}

#[tokio::test(start_paused = true)]
async fn a_node_pool_in_a_new_region_gets_disks_there() {
    let (cloud, driver, _) = taken_out(&[], &[]);
    assert_eq!(create_in(&driver, &[OWN_DC, REGION]).await.unwrap(), region(REGION));
    let request =
        pb::GetCapacityRequest { accessible_topology: Some(topology(REGION)), ..Default::default() };
    assert!(capacity(&driver, request).await.unwrap().available_capacity > 0);
    // Asked once.
    assert_eq!(cloud.sent(Op::ListInstances).iter().filter(|body| body.contains(REGION)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_the_settings_have_a_region_that_will_do_no_other_is_asked_for() {
    let (cloud, driver, _) = taken_out(&[], &[]);
    let made = create_in(&driver, &[REGION, OWN_DC, OTHER_REGION]).await.unwrap();
    assert_eq!(made, region(OTHER_REGION));
    assert_eq!(cloud.sent(Op::ListInstances), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_region_of_the_clouds_has_no_disks_and_is_asked_again_a_minute_later() {
    let (cloud, driver, _) = taken_out(&[], &[]);
    let request =
        pb::GetCapacityRequest { accessible_topology: Some(topology(OWN_DC)), ..Default::default() };
    for (after, asked) in [(0, 1), (30, 1), (61, 2)] {
        tokio::time::sleep(Duration::from_secs(after)).await;
        assert_eq!(capacity(&driver, request.clone()).await.unwrap().available_capacity, 0);
        assert_eq!(cloud.sent(Op::ListInstances).len(), asked);
    }
    assert_eq!(create_in(&driver, &[OWN_DC]).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_refused_for_a_region_of_which_the_cloud_does_not_tell() {
    let (cloud, driver, _) = taken_out(&[], &[]);
    cloud.meets_in(REGION, Op::ListInstances, Effect::Http { status: 503 });
    assert_eq!(create_in(&driver, &[REGION]).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(cloud.sent(Op::CreateDisk), Vec::<String>::new());
}
