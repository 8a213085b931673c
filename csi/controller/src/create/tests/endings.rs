//! How an order ends, and what is done then.

use super::*;
use ecx::api::{DiskState, Op};
use ecx::token;
use ecx_sim::Effect;
use ecx_sim::world::World;

use crate::accepted::Handle;
use crate::disk_reader::WaitError;
use crate::local_cloud::{LocalCloud, OTHER_REGION, REGION, disk, run};
use crate::open_orders::Placed;

fn volume() -> CreateRequest {
    ask(&[], &[], &[])
}

/// Every order has failed, and no disk is there.
fn failed(world: &mut World) {
    world.disks.clear();
    world.handles.values_mut().for_each(|order| order.status = 2);
}

fn rename(world: &mut World) {
    world.disks.values_mut().for_each(|record| record.disk.disk_name = "other".into());
}

/// The world changes after the order is taken and before its disk is looked for.
async fn order_and_meanwhile(
    cloud: &LocalCloud,
    change: fn(&mut World),
) -> Result<CreatedVolume, CreateError> {
    let driver = cloud.driver();
    tokio::join!(run(&driver, volume()), cloud.after(500, change)).0
}

#[tokio::test(start_paused = true)]
async fn an_order_that_failed_without_a_disk_is_followed_by_one_with_another_token() {
    let cloud = LocalCloud::new();
    let created = order_and_meanwhile(&cloud, failed).await.unwrap();
    let sent = cloud.sent(Op::CreateDisk);
    assert_eq!(sent.len(), 2);
    for (sent, name) in sent.iter().zip(["pvc-1", "pvc-1#2"]) {
        assert!(sent.contains(&token::create(CLUSTER, name)), "{sent}");
    }
    assert!(cloud.look(|world| world.disks.contains_key(&created.disk.disk_id)));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_fails_three_times_is_given_up_and_none_is_open() {
    let cloud = LocalCloud::new();
    let driver = cloud.driver();
    let error = tokio::select! {
        created = run(&driver, volume()) => created.unwrap_err(),
        () = cloud.always(failed) => unreachable!(),
    };
    assert!(matches!(error, CreateError::OrderFailed { attempts: 3, .. }), "{error}");
    assert_eq!(cloud.sent(Op::CreateDisk).len(), 3);
    assert_eq!(driver.order_attempts.next("create pvc-1"), 4);
    assert!(driver.open_orders.of("pvc-1").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_disk_is_shown_is_not_asked_after() {
    let cloud = LocalCloud::new();
    let driver = cloud.driver();
    run(&driver, volume()).await.unwrap();
    assert!(cloud.sent(Op::GetOrder).is_empty());
    assert!(driver.open_orders.of("pvc-1").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_has_not_its_name_is_found_by_the_orders_id() {
    let cloud = LocalCloud::new();
    let created = order_and_meanwhile(&cloud, rename).await.unwrap();
    assert_eq!(created.disk.disk_name, "other");
    assert_eq!(cloud.sent(Op::CreateDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_done_without_a_disk_is_left_to_the_retry() {
    let cloud = LocalCloud::new();
    cloud.meets(Op::CreateDisk, 1, Effect::EmptyOrder);
    let error = order_and_meanwhile(&cloud, rename).await.unwrap_err();
    let CreateError::Wait { source: WaitError::TooLong { last, .. }, .. } = &error else { panic!("{error}") };
    assert_eq!(last, "an order that is done, and no disk");
    assert_eq!(cloud.sent(Op::CreateDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_disks_that_came_of_one_name_are_refused_with_both() {
    let cloud = LocalCloud::new();
    let second = |world: &mut World| {
        let mut record = world.disks.values().next().unwrap().clone();
        record.disk.disk_id = "cd-2".into();
        world.disks.insert("cd-2".into(), record);
    };
    let error = order_and_meanwhile(&cloud, second).await.unwrap_err();
    let CreateError::Ambiguous { name, count: 2, disks } = &error else { panic!("{error}") };
    assert!(name == "pvc-1" && disks.contains("cd-2"), "{disks}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_the_answer_names_is_looked_at_by_its_id() {
    let cloud = LocalCloud::new();
    let first = run(&cloud.driver(), volume()).await.unwrap();
    cloud.change(rename);
    // The same order again is told what the first one made.
    let again = run(&cloud.driver(), volume()).await.unwrap();
    assert_eq!(again.disk.disk_id, first.disk.disk_id);
    assert_eq!((cloud.sent(Op::CreateDisk).len(), cloud.sent(Op::GetOrder).len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_disk_of_an_order_whose_reply_is_lost_is_found_by_its_name() {
    let cloud = LocalCloud::new();
    cloud.meets(Op::CreateDisk, 0, Effect::DropAfter);
    let created = run(&cloud.driver(), volume()).await.unwrap();
    assert_eq!((created.region, cloud.look(|world| world.bought)), (region(REGION), 1));
}

/// A driver whose order, in the other region, was lost on its way.
async fn with_an_open_order(cloud: &LocalCloud) -> std::sync::Arc<Driver> {
    let driver = cloud.driver();
    cloud.meets(Op::CreateDisk, 0, Effect::DropBefore);
    let lost = run(&driver, ask(&[], &[OTHER_REGION], &[])).await.unwrap_err();
    assert!(matches!(lost, CreateError::Cloud { source: ecx::Error::NoReply(_), .. }), "{lost}");
    cloud.clear_faults();
    driver
}

#[tokio::test(start_paused = true)]
async fn while_an_order_may_be_open_a_refusal_is_not_the_end() {
    let cloud = LocalCloud::new();
    let driver = with_an_open_order(&cloud).await;
    cloud.meets(Op::CreateDisk, 0, Effect::SoldOut);
    let error = run(&driver, ask(&[], &[OTHER_REGION], &[])).await.unwrap_err();
    assert!(matches!(error, CreateError::Cloud { source: ecx::Error::SoldOut(_), .. }), "{error}");
    assert!(!error.is_final());
}

#[tokio::test(start_paused = true)]
async fn a_region_where_an_order_may_be_open_must_answer() {
    let cloud = LocalCloud::new();
    let driver = with_an_open_order(&cloud).await;
    cloud.meets_in(OTHER_REGION, Op::FindDiskByName, Effect::Http { status: 500 });
    let error = run(&driver, volume()).await.unwrap_err();
    assert!(matches!(error, CreateError::Cloud { source: ecx::Error::Server(_), .. }), "{error}");
}

/// A driver for which this disk, of another name, was ordered.
fn awaiting(cloud: &LocalCloud, id: &str) -> std::sync::Arc<Driver> {
    let (driver, disk) = (cloud.driver(), Some(id.to_owned()));
    let at = tokio::time::Instant::now();
    let order = Placed { region: region(REGION), handle: Handle::None, disk, number: 1, at };
    driver.open_orders.took("pvc-1", order);
    driver
}

#[tokio::test(start_paused = true)]
async fn an_order_that_the_cloud_took_is_waited_for_and_sent_no_second_time() {
    let cloud = LocalCloud::new();
    cloud.add(disk("cd-1"));
    assert_eq!(run(&awaiting(&cloud, "cd-1"), volume()).await.unwrap().disk.disk_id, "cd-1");
    assert!(cloud.sent(Op::CreateDisk).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_disk_of_the_name_decides_whatever_was_ordered() {
    let cloud = LocalCloud::new();
    cloud.add(disk("cd-1"));
    cloud.add(Disk { disk_name: "pvc-1".into(), disk_size: 40, ..disk("cd-2") });
    let error = run(&awaiting(&cloud, "cd-1"), volume()).await.unwrap_err();
    assert!(matches!(&error, CreateError::Incompatible { what, .. } if what.contains("40 GiB")), "{error}");
}

/// Nothing goes on any more with the one disk that there is.
fn becomes(world: &mut World, state: DiskState) {
    let record = world.disks.values_mut().next().unwrap();
    (record.pending, record.disk.disk_status) = (None, state);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_died_while_it_was_made_is_refunded_and_ordered_anew() {
    let cloud = LocalCloud::new();
    cloud.meets(Op::CreateDisk, 1, Effect::Stuck);
    let dies = cloud.after(5000, |world| becomes(world, DiskState::Error));
    let driver = cloud.driver();
    let created = tokio::join!(run(&driver, volume()), dies).0.unwrap();
    assert_eq!((created.disk.disk_status, cloud.sent(Op::CreateDisk).len()), (DiskState::Available, 2));
    assert_eq!(cloud.sent(Op::DeleteDisk).len(), 1);
}

/// The order is done, says the cloud, while its disk is still being made and has another name.
fn done_before_its_disk(world: &mut World) {
    rename(world);
    world.handles.values_mut().for_each(|order| order.status = 1);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_only_its_order_tells_of_is_waited_for() {
    let cloud = LocalCloud::new();
    cloud.meets(Op::CreateDisk, 1, Effect::Stuck);
    let made = cloud.after(60_000, |world| becomes(world, DiskState::Available));
    let created = tokio::join!(order_and_meanwhile(&cloud, done_before_its_disk), made).0.unwrap();
    assert_eq!((created.disk.disk_status, cloud.sent(Op::CreateDisk).len()), (DiskState::Available, 1));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_only_its_order_tells_of_and_that_is_not_made_in_time_is_not_gone() {
    let cloud = LocalCloud::new();
    cloud.meets(Op::CreateDisk, 1, Effect::Stuck);
    let driver = cloud.driver();
    let (error, ()) = tokio::join!(run(&driver, volume()), cloud.after(500, done_before_its_disk));
    let error = error.unwrap_err();
    assert!(matches!(&error, CreateError::Wait { .. }), "{error}");
    assert_eq!(driver.order_attempts.next("create pvc-1"), 1, "the token is that disk's");
}
