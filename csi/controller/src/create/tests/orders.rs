//! An empty disk: what is ordered, where, and how often.

use super::*;
use eck_csi::volume::FsType;
use ecx::api::{CreateDisk, Op};
use ecx::token;
use ecx_sim::config::Config;
use ecx_sim::{Effect, world::Twist};
use tokio::time::Instant;

use crate::local_cloud::{LocalCloud, MACHINE, OTHER_REGION, REGION, disk, run};

/// Any region, any type.
fn volume() -> CreateRequest {
    ask(&[], &[], &[])
}

/// A free disk of the volume's name.
fn named(id: &str) -> Disk {
    Disk { disk_name: "pvc-1".into(), ..disk(id) }
}

#[test]
fn a_create_works_on_its_name_and_refuses_another_one_of_it() {
    assert_eq!(volume().key(), "pvc-1");
    assert_eq!([true, false].map(CreateRequest::on_conflict), [OnConflict::Abort; 2]);
}

#[tokio::test(start_paused = true)]
async fn an_order_has_every_field_that_the_cloud_wants() {
    let cloud = LocalCloud::new();
    run(&cloud.driver(), volume()).await.unwrap();
    let token = token::create(CLUSTER, "pvc-1");
    let sent = format!(
        r#"{{"clientToken":"{token}","deleteDiskWithInstance":false,"diskMode":"VBD","diskName":"pvc-1","diskSize":20,"diskType":"SAS",{}}}"#,
        format_args!(r#""labels":[{{"key":"eck-csi","value":"c1"}}],"onDemand":true,"regionID":"{REGION}""#)
    );
    assert_eq!(cloud.sent(Op::CreateDisk), [sent]);
}

#[tokio::test(start_paused = true)]
async fn the_created_volume_is_the_disk_and_what_the_node_must_know() {
    let cloud = LocalCloud::new();
    let driver = cloud.driver();
    let request = CreateRequest { fs: Some(FsType::Xfs), ..volume() };
    let created = run(&driver, request).await.unwrap();
    let record = cloud.look(|world| world.disks.values().next().unwrap().disk.clone());
    assert_eq!(CreateRequest::made(&created), Some(record.disk_id.as_str()));
    assert_eq!((created.region, &created.disk, created.source), (region(REGION), &record, None));
    let options = Parameters::default().options;
    let fs = Some(FsType::Xfs);
    let context = VolumeContext { disk_type: "cloud".into(), fs, provisioned: true, source: None, options };
    assert_eq!(created.context, context);
    let id = eck_csi::volume::DiskId::parse(&record.disk_id).unwrap();
    assert_eq!(driver.disk_locator.known(&id), Some(region(REGION)));
    assert!(driver.left_machines.is_new(&record.disk_id), "it was on no machine");
}

#[tokio::test(start_paused = true)]
async fn the_type_of_the_class_is_ordered_and_told() {
    let cloud = LocalCloud::new();
    let mut request = volume();
    request.parameters.disk_type = Some("SSD".into());
    let created = run(&cloud.driver(), request).await.unwrap();
    assert_eq!((created.disk.disk_type.as_str(), created.context.disk_type.as_str()), ("SSD", "SSD"));
}

#[tokio::test(start_paused = true)]
async fn the_type_of_the_class_of_attributes_counts_more_and_needs_no_change() {
    let cloud = LocalCloud::new();
    let mutable = Mutable { disk_type: Some("SATA".into()), ..Mutable::default() };
    let mut request = CreateRequest { mutable, ..volume() };
    request.parameters.disk_type = Some("SSD".into());
    let created = run(&cloud.driver(), request).await.unwrap();
    assert_eq!((created.disk.disk_type.as_str(), created.context.disk_type.as_str()), ("SATA", "SATA"));
}

#[tokio::test(start_paused = true)]
async fn a_description_is_given_to_the_disk_that_was_created() {
    let mutable = Mutable { description: Some("for the shop".into()), ..Mutable::default() };
    let created = run(&LocalCloud::new().driver(), CreateRequest { mutable, ..volume() }).await.unwrap();
    assert_eq!(created.disk.volume_description.as_deref(), Some("for the shop"));
}

#[tokio::test(start_paused = true)]
async fn a_retry_finds_the_disk_and_orders_nothing() {
    let cloud = LocalCloud::new();
    let first = run(&cloud.driver(), volume()).await.unwrap();
    let again = run(&cloud.driver(), volume()).await.unwrap();
    assert_eq!(again.disk.disk_id, first.disk.disk_id);
    assert_eq!(cloud.sent(Op::CreateDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_region_that_does_not_answer_matters_where_the_disk_may_be_ordered() {
    let cloud = LocalCloud::new();
    cloud.meets_in(OTHER_REGION, Op::FindDiskByName, Effect::Http { status: 500 });
    let there = run(&cloud.driver(), ask(&[], &[OTHER_REGION], &[])).await.unwrap_err();
    assert!(matches!(&there, CreateError::Cloud { name, .. } if name == "pvc-1"), "{there}");
    let anywhere = run(&cloud.driver(), volume()).await.unwrap_err();
    assert!(matches!(&anywhere, CreateError::Cloud { .. }), "an earlier order may be there: {anywhere}");
    let here = run(&cloud.driver(), ask(&[REGION], &[], &[])).await.unwrap();
    assert_eq!(here.region, region(REGION));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_attached_was_created_long_ago() {
    let cloud = LocalCloud::new();
    cloud.add_held(named("cd-1"), MACHINE);
    let (started, driver) = (Instant::now(), cloud.driver());
    assert_eq!(run(&driver, volume()).await.unwrap().disk.disk_id, "cd-1");
    assert!(started.elapsed().as_secs() < 2 && !driver.left_machines.is_new("cd-1"));
}

#[tokio::test(start_paused = true)]
async fn a_disk_with_which_something_goes_on_is_waited_for() {
    let cloud = LocalCloud::new();
    cloud.add_busy(named("cd-1"));
    let created = run(&cloud.driver(), volume()).await.unwrap();
    assert_eq!(created.disk.disk_status, DiskState::Available);
    assert!(cloud.sent(Op::CreateDisk).is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_two_disks_of_the_name_the_labelled_one_is_created() {
    let cloud = LocalCloud::new();
    cloud.add(named("cd-1"));
    cloud.add(Disk { labels: super::disk("cd-2", 20, true).labels, ..named("cd-2") });
    assert_eq!(run(&cloud.driver(), volume()).await.unwrap().disk.disk_id, "cd-2");
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_done_at_once_needs_one_look() {
    let mut config = Config::default();
    config.latency.create = 0;
    let cloud = LocalCloud::of(config);
    let started = Instant::now();
    run(&cloud.driver(), volume()).await.unwrap();
    assert!(started.elapsed().as_secs() < 2);
}

#[tokio::test(start_paused = true)]
async fn a_region_without_stock_or_quota_is_followed_by_the_next() {
    for refusal in [Effect::SoldOut, Effect::Quota] {
        let cloud = LocalCloud::new();
        cloud.meets(Op::CreateDisk, 1, refusal);
        let created = run(&cloud.driver(), volume()).await.unwrap();
        assert_eq!((created.region, created.disk.region_id.as_str()), (region(OTHER_REGION), OTHER_REGION));
        assert_eq!(cloud.sent(Op::CreateDisk).len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_of_an_order_that_arrived_late_is_the_volume() {
    let cloud = LocalCloud::new();
    cloud.meets(Op::CreateDisk, 1, Effect::Delay { ms: 1000 });
    let late = cloud.after(500, |world| {
        let body = CreateDisk {
            client_token: token::create(CLUSTER, "pvc-1"),
            region_id: REGION.into(),
            disk_name: "pvc-1".into(),
            disk_mode: "VBD".into(),
            disk_type: Some("SAS".into()),
            disk_size: 25,
            on_demand: true,
            labels: vec![],
            snapshot_id: None,
        };
        world.create(&body, world.now, 0, &Twist::default()).unwrap();
    });
    let driver = cloud.driver();
    let (created, ()) = tokio::join!(run(&driver, volume()), late);
    assert_eq!((created.unwrap().disk.disk_size, cloud.look(|world| world.bought)), (25, 1));
}
