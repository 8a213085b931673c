use eck_csi::volume::SizeRange;
use ecx::api::Op;
use ecx_sim::Effect;

use crate::delete::delete;
use crate::error::{DeleteError, ExpandError};
use crate::expand::expand;
use crate::local_cloud::{LocalCloud, disk, volume};

const DISK: &str = "cd-1";

/// A cloud with one free disk in which so many orders of a kind fail.
fn cloud(op: Op, count: u32) -> LocalCloud {
    let cloud = LocalCloud::new();
    cloud.add(disk(DISK));
    cloud.meets(op, count, Effect::JobFails);
    cloud
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_failed_three_times_can_still_be_asked_for() {
    let cloud = cloud(Op::DeleteDisk, 3);
    let first = cloud.driver();
    let ended = delete(&first, &volume(DISK)).await;
    assert!(matches!(ended, Err(DeleteError::OrderFailed { .. })), "{ended:?}");
    delete(&first, &volume(DISK)).await.unwrap();
    assert!(cloud.look(|world| world.disks.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_new_controller_finds_its_way_past_the_failures_of_the_old_one() {
    let cloud = cloud(Op::DeleteDisk, 5);
    let old = cloud.driver();
    for _ in 0..2 {
        let _ = delete(&old, &volume(DISK)).await;
    }
    assert!(cloud.look(|world| world.disks.is_empty()));
    let cloud = self::cloud(Op::DeleteDisk, 3);
    let _ = delete(&cloud.driver(), &volume(DISK)).await;
    let new = cloud.driver();
    let ended = delete(&new, &volume(DISK)).await;
    assert!(matches!(ended, Err(DeleteError::OrderFailed { .. })), "{ended:?}");
    delete(&new, &volume(DISK)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_growth_that_failed_three_times_can_still_be_asked_for() {
    let cloud = cloud(Op::ResizeDisk, 3);
    let driver = cloud.driver();
    let size = SizeRange { min_gib: 30, max_gib: 40 };
    let ended = expand(&driver, &volume(DISK), &size).await;
    assert!(matches!(ended, Err(ExpandError::OrderFailed { .. })), "{ended:?}");
    assert_eq!(expand(&driver, &volume(DISK), &size).await.unwrap(), 30 << 30);
}
