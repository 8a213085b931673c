//! Every fault in every call: in the end there is what was requested, once, and nothing else.

use ecx::api::Op;
use ecx_sim::fault::{Effect, Fault};
use proto::csi::v1 as pb;

use crate::rig::{Rig, create_from, from_snapshot, from_volume, with_retries};

const EFFECTS: [Effect; 5] = [
    Effect::Http { status: 500 },
    Effect::HttpAfter { status: 502 },
    Effect::DropBefore,
    Effect::DropAfter,
    Effect::Throttle { retry_after_s: 0.1 },
];

/// A fault in the call `op` after `skip` of them, for as many calls as one client tries.
fn fault(op: Op, effect: &Effect, skip: u32) -> Fault {
    Fault { op: Some(op), contains: None, skip, count: 4, effect: effect.clone() }
}

/// Every call with every effect, after none, one and two calls.
fn cases(ops: &[Op]) -> Vec<(Op, Effect, u32)> {
    let of = |op: &Op| {
        let op = *op;
        EFFECTS.into_iter().flat_map(move |effect| (0..3).map(move |skip| (op, effect.clone(), skip)))
    };
    ops.iter().flat_map(of).collect()
}

/// The calls by which a snapshot is taken and deleted.
const SNAPSHOT: [Op; 4] = [Op::CreateSnapshot, Op::ListSnapshots, Op::DeleteSnapshot, Op::GetDisk];

/// Takes a snapshot while the fault happens; returns its id.
async fn snapshot_with_fault(rig: &Rig, (op, effect, skip): &(Op, Effect, u32)) -> String {
    let source = rig.create_volume("a").await;
    rig.cloud.fault(fault(*op, effect, *skip));
    let snapshot = with_retries(async || rig.create_snapshot("snap", &source).await).await;
    snapshot.unwrap_or_else(|status| panic!("{op:?} {effect:?} after {skip}: {status}")).snapshot_id
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_taken_once_whatever_happens() {
    for case in cases(&SNAPSHOT) {
        let rig = Rig::new();
        snapshot_with_fault(&rig, &case).await;
        assert_eq!(rig.snapshot_names(), ["snap"], "{case:?}");
    }
}

/// The faults of which the creation has seen none or not all.
#[tokio::test(start_paused = true)]
async fn a_snapshot_is_deleted_whatever_happens() {
    for case in cases(&SNAPSHOT) {
        let rig = Rig::new();
        let snapshot = snapshot_with_fault(&rig, &case).await;
        let deleted = with_retries(async || rig.delete_snapshot(&snapshot).await).await;
        deleted.unwrap_or_else(|status| panic!("{case:?}: {status}"));
        assert!(rig.snapshot_names().is_empty(), "{case:?}");
    }
}

/// The calls by which a volume is restored or cloned.
const RESTORE: [Op; 6] = [
    Op::CreateSnapshot,
    Op::ListSnapshots,
    Op::DeleteSnapshot,
    Op::CreateDiskFromSnapshot,
    Op::FindDiskByName,
    Op::GetDisk,
];

/// Creates a volume with a content source while the fault happens, and checks that it was bought once and that the cloud has
/// these snapshots.
async fn create_with_fault(
    rig: &Rig,
    source: &str,
    request: &pb::CreateVolumeRequest,
    (op, effect, skip): &(Op, Effect, u32),
    snapshots: &[&str],
) {
    let case = format!("{op:?} {effect:?} after {skip}");
    rig.cloud.fault(fault(*op, effect, *skip));
    let created = with_retries(async || rig.create(request.clone()).await).await;
    let created = created.unwrap_or_else(|status| panic!("{case}: {status}"));
    assert_ne!(created.volume_id, source, "{case}");
    assert_eq!((rig.disk_count(), rig.cloud.look(|world| world.bought)), (2, 2), "{case}");
    assert_eq!(rig.snapshot_names(), snapshots, "{case}");
}

#[tokio::test(start_paused = true)]
async fn a_restored_volume_is_bought_once_whatever_happens() {
    for case in cases(&RESTORE) {
        let rig = Rig::new();
        let source = rig.create_volume("a").await;
        let snapshot = rig.create_snapshot("snap", &source).await.unwrap();
        let request = create_from("r", from_snapshot(&snapshot.snapshot_id));
        create_with_fault(&rig, &source, &request, &case, &["snap"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloned_volume_is_bought_once_whatever_happens() {
    for case in cases(&RESTORE) {
        let rig = Rig::new();
        let source = rig.create_volume("a").await;
        let request = create_from("r", from_volume(&source));
        create_with_fault(&rig, &source, &request, &case, &[]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_is_whole_or_not_there_whatever_happens() {
    for (op, effect, skip) in cases(&SNAPSHOT) {
        let case = format!("{op:?} {effect:?} after {skip}");
        let rig = Rig::new();
        let a = rig.create_volume("a").await;
        let b = rig.create_volume("b").await;
        rig.cloud.fault(fault(op, &effect, skip));
        let group = with_retries(async || rig.create_group("g", &[&a, &b]).await)
            .await
            .unwrap_or_else(|e| panic!("{case}: {e}"));
        let mut sources: Vec<_> = group.snapshots.iter().map(|s| s.source_volume_id.clone()).collect();
        sources.sort();
        let mut wanted = vec![a, b];
        wanted.sort();
        assert_eq!((sources, rig.snapshot_names().len()), (wanted, 2), "{case}");
    }
}
