//! When "the disk is free" is believed: it may be of a time before an attach of just now.

use std::time::Duration;

use ecx_sim::config::Config;
use tokio::time::Instant;

use super::*;

const MOMENT: Duration = Duration::from_millis(1);

fn id() -> DiskId {
    DiskId::parse(DISK).unwrap()
}

/// How long a detach takes whose time in the cloud is so many milliseconds, while the world changes after 500 ms; true if it is as long as
/// looks may lag.
async fn waits(detach_ms: u64, change: fn(&mut World)) -> bool {
    let mut config = Config::default();
    config.latency.detach = detach_ms;
    let cloud = LocalCloud::of(config);
    cloud.add_held(disk(DISK), MACHINE);
    let (driver, began) = (cloud.driver(), Instant::now());
    let (detached, ()) = tokio::join!(run(&driver, from(MACHINE)), cloud.after(500, change));
    detached.unwrap();
    assert_eq!(cloud.sent(Op::DetachDisk).len(), 1);
    began.elapsed() >= driver.reader.lag()
}

fn free(world: &mut World) {
    let record = world.disks.get_mut(DISK).unwrap();
    (record.holder, record.disk.disk_status) = (None, DiskState::Available);
}

#[tokio::test(start_paused = true)]
async fn a_detach_that_is_said_to_be_done_is_believed_at_once() {
    assert!(!waits(200, |_| {}).await);
    assert!(!waits(0, |_| {}).await, "done before the first look");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_free_before_its_detach_is_said_to_be_done_is_waited_for() {
    assert!(!waits(4000, free).await);
    assert!(
        waits(4000, |world| {
            free(world);
            world.handles.clear()
        })
        .await,
        "nobody says that it is done"
    );
}

#[tokio::test(start_paused = true)]
async fn a_free_disk_of_which_nothing_is_known_is_looked_at_twice() {
    let cloud = LocalCloud::new();
    cloud.add(disk(DISK));
    let (driver, began) = (cloud.driver(), Instant::now());
    run(&driver, from(MACHINE)).await.unwrap();
    assert!(began.elapsed() >= driver.reader.lag());
    let again = Instant::now();
    run(&driver, from(MACHINE)).await.unwrap();
    assert!(again.elapsed() < driver.reader.lag(), "nobody asked for it since");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_shown_on_the_machine_after_all_is_taken_off() {
    let cloud = LocalCloud::new();
    cloud.add(disk(DISK));
    let driver = cloud.driver();
    tokio::join!(run(&driver, from(MACHINE)), cloud.after(3000, put_on)).0.unwrap();
    assert_eq!((holder(&cloud), cloud.sent(Op::DetachDisk).len()), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn looks_are_later_than_an_attach_of_long_ago() {
    let driver = cloud().driver();
    assert!(!looks_are_later(&driver, &id(), MACHINE), "nothing is known of it");
    driver.publish_modes.publish(&disk(DISK), MACHINE, false);
    tokio::time::advance(driver.reader.lag() - MOMENT).await;
    assert!(!looks_are_later(&driver, &id(), MACHINE));
    tokio::time::advance(MOMENT).await;
    assert!(looks_are_later(&driver, &id(), MACHINE) && !looks_are_later(&driver, &id(), OTHER_MACHINE));
}

#[tokio::test(start_paused = true)]
async fn looks_are_later_than_a_detach_after_which_nobody_asked_for_the_disk() {
    let driver = cloud().driver();
    driver.left_machines.left(DISK, MACHINE);
    assert!(looks_are_later(&driver, &id(), MACHINE) && !looks_are_later(&driver, &id(), OTHER_MACHINE));
}

#[test]
fn a_machine_may_hold_the_disk_if_it_is_told_or_nobody_is() {
    let held = held_by("evm-1");
    assert!(holds(&held, Some("evm-1")) && holds(&held, None) && !holds(&held, Some("evm-2")));
    let of = |disk_status| Disk { disk_status, ..Disk::default() };
    for (state, may) in [(DiskState::InUse, true), (DiskState::Available, false)] {
        assert_eq!([Some("evm-1"), None].map(|one| holds(&of(state.clone()), one)), [may; 2], "{state:?}");
    }
}
