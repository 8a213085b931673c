//! What must hold in the cloud when an operation has ended, whatever happened to it.

use std::time::Duration;

use ecx::api::Group;
use ecx_sim::Sim;
use ecx_sim::world::World;
use sanity_tests::sidecar::Reply;
use tokio::time::Instant;
use tonic::Status;

use crate::scene::{Act, GIB, GROWN, Scene};

/// What the whole cloud may hold after `scene`. `failed_once`: a job or order of it failed on the way.
pub(crate) fn judge(
    world: &World,
    scene: &Scene,
    ended: &Result<Reply, Status>,
    failed_once: bool,
) -> Result<(), String> {
    // A disk whose order failed never was usable: it is refunded, and another one is ordered.
    let bought = if scene.act == Act::Create && failed_once { 2 } else { 1 };
    if world.bought != bought {
        return Err(format!("{} disks were bought", world.bought));
    }
    let disks: Vec<_> = world.disks.values().collect();
    if scene.act == Act::Delete {
        return match (&disks[..], ended) {
            ([], Ok(Reply::Done)) => Ok(()),
            _ => Err(format!("{ended:?}, and left are {disks:?}")),
        };
    }
    let [record] = disks[..] else { return Err(format!("not one disk: {disks:?}")) };
    let reply = ended.as_ref().map_err(|status| format!("ended with {status:?}"))?;
    let attached =
        scene.act == Act::Publish || (scene.act == Act::Expand && scene.before.contains(&Act::Publish));
    let group = if attached { Group::Attached } else { Group::Settled };
    if record.disk.disk_status.group() != group || record.pending.is_some() {
        return Err(format!("the disk should be {group:?}: {record:?}"));
    }
    let attaches = scene.before.iter().chain([&scene.act]).filter(|act| **act == Act::Publish).count();
    let wanted = attaches + usize::from(failed_once && scene.act == Act::Publish);
    if record.history.len() != wanted || record.holder.is_some() != attached {
        return Err(format!("{wanted} attaches are right, not: {record:?}"));
    }
    let (gib, id) = (record.disk.disk_size, &record.disk.disk_id);
    let bytes = i64::try_from(gib << 30).unwrap();
    let right = match reply {
        Reply::Created { volume, region, bytes: b } => {
            volume == id && *region == record.disk.region_id && *b == bytes && gib == GIB
        }
        Reply::Published(context) => context.values().any(|value| value == id),
        Reply::Expanded { bytes: b } => *b == bytes && gib == GROWN,
        Reply::Done => true,
    };
    if right { Ok(()) } else { Err(format!("returned {reply:?} about {record:?}")) }
}

/// Waits until nothing goes on in the cloud any more.
pub(crate) async fn quiet(sim: &Sim) -> Result<(), String> {
    let busy = || sim.held() > 0 || sim.look(|world| world.disks.values().any(|disk| disk.pending.is_some()));
    until(Duration::from_secs(10), || !busy())
        .await
        .map_err(|()| "the cloud does not come to rest".to_owned())
}

/// Waits for a condition, in a bound.
pub(crate) async fn until(bound: Duration, holds: impl Fn() -> bool) -> Result<(), ()> {
    let end = Instant::now() + bound;
    while !holds() {
        if Instant::now() > end {
            return Err(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
