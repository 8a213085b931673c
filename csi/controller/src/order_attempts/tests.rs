use std::sync::Arc;
use std::time::Duration;

use eck_csi::volume::{Region, SizeRange, VolumeId};
use ecx::api::{Disk, DiskState, Op};
use ecx::{Client, Profile};
use ecx_sim::world::DiskRecord;
use ecx_sim::{Config, Effect, Fault, Local};

use crate::delete::delete;
use crate::driver::Driver;
use crate::error::{DeleteError, ExpandError};
use crate::expand::expand;

const REGION: &str = "zj-shaoxing-2";
const DISK: &str = "cd-1";

/// A cloud with one free disk in which so many orders of a kind fail.
fn cloud(op: Op, count: u32) -> Local {
    let cloud = Local::new(Config::default()).unwrap();
    cloud.begin();
    cloud.change(|world| {
        let disk = Disk {
            disk_id: DISK.into(),
            disk_size: 20,
            disk_type: "SAS".into(),
            disk_status: DiskState::Available,
            region_id: REGION.into(),
            ..Disk::default()
        };
        let record = DiskRecord { disk, holder: None, pending: None, history: Vec::new() };
        world.disks.insert(DISK.into(), record);
    });
    cloud.fault(Fault { op: Some(op), contains: None, skip: 0, count, effect: Effect::JobFails });
    cloud
}

fn driver(cloud: &Local) -> Driver {
    let transport = cloud.transport(1, Duration::from_secs(10));
    let profile = Profile { base_url: "http://ecx-sim".into(), ..Profile::default() };
    let client = Client::over(transport, profile, cloud.credentials());
    Driver::new(Arc::new(client), "test".into(), vec![Region::parse("region", REGION).unwrap()])
}

fn volume() -> VolumeId {
    VolumeId::parse(DISK.into()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_failed_three_times_can_still_be_asked_for() {
    let cloud = cloud(Op::DeleteDisk, 3);
    let first = driver(&cloud);
    let ended = delete(&first, &volume()).await;
    assert!(matches!(ended, Err(DeleteError::OrderFailed { .. })), "{ended:?}");
    delete(&first, &volume()).await.unwrap();
    assert!(cloud.look(|world| world.disks.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_new_controller_finds_its_way_past_the_failures_of_the_old_one() {
    let cloud = cloud(Op::DeleteDisk, 5);
    let old = driver(&cloud);
    for _ in 0..2 {
        let _ = delete(&old, &volume()).await;
    }
    assert!(cloud.look(|world| world.disks.is_empty()));
    let cloud = self::cloud(Op::DeleteDisk, 3);
    let _ = delete(&driver(&cloud), &volume()).await;
    let new = driver(&cloud);
    let ended = delete(&new, &volume()).await;
    assert!(matches!(ended, Err(DeleteError::OrderFailed { .. })), "{ended:?}");
    delete(&new, &volume()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_growth_that_failed_three_times_can_still_be_asked_for() {
    let cloud = cloud(Op::ResizeDisk, 3);
    let driver = driver(&cloud);
    let size = SizeRange { min_gib: 30, max_gib: 40 };
    let ended = expand(&driver, &volume(), &size).await;
    assert!(matches!(ended, Err(ExpandError::OrderFailed { .. })), "{ended:?}");
    assert_eq!(expand(&driver, &volume(), &size).await.unwrap(), 30 << 30);
}
