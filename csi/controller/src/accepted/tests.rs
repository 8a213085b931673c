use std::time::Duration;

use super::*;
use ecx::api::{AttachDisk, DiskState, JobReply, Op};
use ecx_sim::world::World;
use ecx_sim::{Config, Effect};

use crate::attach::AttachRequest;
use crate::local_cloud::{LocalCloud, MACHINE, REGION, disk, region, run, volume};

const DISK: &str = "cd-1";

/// A cloud with one free disk, whose attach takes so long.
fn cloud(attach: u64) -> LocalCloud {
    let mut config = Config::default();
    config.latency.attach = attach;
    let cloud = LocalCloud::of(config);
    cloud.add(disk(DISK));
    cloud
}

/// The cloud shows the disk free or held, whatever goes on with it.
fn show(held: bool) -> impl FnOnce(&mut World) {
    move |world| {
        let record = world.disks.get_mut(DISK).unwrap();
        (record.holder, record.disk.disk_status) = match held {
            true => (Some(MACHINE.into()), DiskState::InUse),
            false => (None, DiskState::Available),
        };
    }
}

/// Attaches the disk, which is shown free until so many ms after.
async fn attach_shown_after(cloud: &LocalCloud, ms: u64) {
    let node = eck_csi::volume::NodeId::Instance { region: region(REGION), instance: MACHINE.into() };
    let (driver, request) = (cloud.driver(), AttachRequest { volume: volume(DISK), node, readonly: false });
    let shown = async {
        cloud.after(600, show(false)).await;
        cloud.after(ms - 600, show(true)).await;
    };
    tokio::join!(run(&driver, request), shown).0.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_done_and_not_shown_yet_is_looked_for_a_few_times_more() {
    let cloud = cloud(300);
    attach_shown_after(&cloud, 9000).await;
    assert_eq!(cloud.sent(Op::AttachDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_has_not_begun_is_asked_after_ever_less_often() {
    let cloud = cloud(3_600_000);
    attach_shown_after(&cloud, 12_000).await;
    // After one look, two and four.
    assert_eq!((cloud.sent(Op::AttachDisk).len(), cloud.sent(Op::GetJob).len()), (1, 3));
}

#[test]
fn an_order_that_is_not_known_to_have_ended_goes_on() {
    assert_eq!(order_progress("3"), Progress::Done);
    for status in ["4", "5", "22"] {
        assert_eq!(order_progress(status), Progress::Failed, "{status}");
    }
    assert_eq!(["", "14", "99"].map(order_progress), [Progress::Running; 3]);
}

#[test]
fn an_empty_id_is_nothing_to_ask_after() {
    let reply = |id: &str| JobReply { disk_request_id: Some(id.into()), disk_job_id: None };
    assert!(matches!(Handle::job(reply("")), Handle::None));
    assert!(matches!(Handle::job(reply("job-1")), Handle::Job(id) if id == "job-1"));
    let other = JobReply { disk_request_id: None, disk_job_id: Some("job-2".into()) };
    assert!(matches!(Handle::job(other), Handle::Job(id) if id == "job-2"));
    assert!(matches!(Handle::order(Some(String::new())), Handle::None));
    assert!(matches!(Handle::order(Some("order-1".into())), Handle::Order(id) if id == "order-1"));
}

/// What an attach that takes so long, in milliseconds, is asked after by, and a driver to ask. Replies come at once.
async fn accepted(attach: u64, fails: bool) -> (std::sync::Arc<Driver>, Handle) {
    let mut config = Config::default();
    (config.latency.attach, config.latency.reply) = (attach, 0);
    let cloud = LocalCloud::of(config);
    cloud.add(disk(DISK));
    if fails {
        cloud.meets(Op::AttachDisk, 1, Effect::JobFails);
    }
    let driver = cloud.driver();
    let (region_id, instance_id) = (REGION.to_owned(), Some(MACHINE.to_owned()));
    let body = AttachDisk { region_id, disk_id: DISK.to_owned(), instance_id };
    let handle = Handle::job(driver.client.attach_disk(&body).await.unwrap());
    (driver, handle)
}

#[tokio::test(start_paused = true)]
async fn whether_it_is_done_is_asked_until_it_ends() {
    for (fails, done) in [(false, true), (true, false)] {
        let (driver, handle) = accepted(20_000, fails).await;
        let (began, deadline) = (Instant::now(), driver.deadline());
        assert_eq!(driver.said_done(&region(REGION), &handle, deadline).await, done);
        assert_eq!(driver.said_failed(&region(REGION), &handle).await, fails);
        let took = began.elapsed();
        assert!((Duration::from_secs(20)..Duration::from_secs(26)).contains(&took), "{took:?}");
    }
    let (driver, _) = accepted(0, false).await;
    assert!(!driver.said_done(&region(REGION), &Handle::None, driver.deadline()).await, "nobody says so");
}

#[tokio::test(start_paused = true)]
async fn whether_it_is_done_is_asked_until_the_deadline() {
    let (driver, handle) = accepted(3_600_000, false).await;
    let began = Instant::now();
    assert!(!driver.said_done(&region(REGION), &handle, began + Duration::from_secs(60)).await);
    let took = began.elapsed();
    assert!((Duration::from_secs(60)..Duration::from_secs(66)).contains(&took), "{took:?}");
    let now = Instant::now();
    assert!(!driver.said_done(&region(REGION), &handle, now).await);
    assert_eq!(now.elapsed(), Duration::ZERO, "at the deadline it is over");
    assert!(!driver.said_failed(&region(REGION), &handle).await);
}
