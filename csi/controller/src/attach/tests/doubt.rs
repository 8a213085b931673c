//! When a look that shows the disk on the machine is believed.

use super::*;
use ecx_sim::world::World;

fn id() -> DiskId {
    DiskId::parse(DISK).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_was_made_just_now_was_nowhere() {
    let driver = cloud().driver();
    assert_eq!(Doubt::of(&driver, &id(), MACHINE), Doubt::Lists, "nothing is known of it");
    driver.left_machines.made(DISK);
    assert_eq!(Doubt::of(&driver, &id(), MACHINE), Doubt::None);
    tokio::time::advance(Duration::from_secs(15)).await;
    assert_eq!(Doubt::of(&driver, &id(), MACHINE), Doubt::Lists, "another controller may have led since");
}

#[tokio::test(start_paused = true)]
async fn after_a_disk_left_the_machine_every_read_may_be_from_before() {
    let driver = cloud().driver();
    driver.left_machines.left(DISK, MACHINE);
    let of = |machine| Doubt::of(&driver, &id(), machine);
    assert_eq!((of(MACHINE), of(OTHER_MACHINE)), (Doubt::Reads, Doubt::Lists));
    let moment = Duration::from_millis(1);
    tokio::time::advance(driver.reader.lag() - moment).await;
    assert_eq!(of(MACHINE), Doubt::Reads);
    tokio::time::advance(moment).await;
    assert_eq!(of(MACHINE), Doubt::Lists);
}

#[tokio::test(start_paused = true)]
async fn where_every_read_may_be_from_before_the_next_one_is_later() {
    for (doubt, waits) in [(Doubt::Reads, true), (Doubt::Lists, false)] {
        let cloud = LocalCloud::new();
        cloud.add_held(disk(DISK), MACHINE);
        let (driver, began) = (cloud.driver(), tokio::time::Instant::now());
        let machine = Machine { region: region(REGION), instance: MACHINE.into() };
        let (_, doubt) = doubt.settled(&driver, &machine, &disk(DISK)).await.unwrap();
        assert_eq!((doubt, began.elapsed() >= driver.reader.lag()), (Doubt::None, waits));
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_shown_where_it_was_is_attached_there_again() {
    let cloud = LocalCloud::new();
    cloud.add_held(disk(DISK), MACHINE);
    let driver = cloud.driver();
    driver.left_machines.left(DISK, MACHINE);
    let shown = cloud.after(5000, |world| {
        let record = world.disks.get_mut(DISK).unwrap();
        (record.holder, record.disk.disk_status) = (None, DiskState::Available);
    });
    tokio::join!(run(&driver, to(MACHINE)), shown).0.unwrap();
    assert_eq!(cloud.sent(Op::AttachDisk).len(), 1);
}

/// Whether the attach of a disk that left the machine just now waits as long as looks may lag, while the world changes after 100 ms.
async fn waits(change: fn(&mut World)) -> bool {
    let cloud = cloud();
    let driver = cloud.driver();
    driver.left_machines.left(DISK, MACHINE);
    let began = tokio::time::Instant::now();
    tokio::join!(run(&driver, to(MACHINE)), cloud.after(100, change)).0.unwrap();
    assert_eq!(cloud.sent(Op::AttachDisk).len(), 1);
    began.elapsed() >= driver.reader.lag()
}

#[tokio::test(start_paused = true)]
async fn an_attach_that_is_said_to_be_done_is_believed_and_another_one_when_looks_are_later() {
    assert!(!waits(|_| {}).await);
    assert!(waits(|world| world.handles.clear()).await, "nobody says that it is done");
}
