//! Every kind of call is hit by every kind of fault, the first and the second one of each: at the end there is what was asked for,
//! once, and nothing else.

use ecx::api::Op;
use ecx_sim::fault::{Effect, Fault};
use proto::csi::v1 as pb;

use crate::rig::{Rig, claim, from, persist, snapshot, volume};

const EFFECTS: [Effect; 5] = [
    Effect::Http { status: 500 },
    Effect::HttpAfter { status: 502 },
    Effect::DropBefore,
    Effect::DropAfter,
    Effect::Throttle { retry_after_s: 0.1 },
];

/// Hits the call `op`, as often as one client's attempts go, after `skip` of them.
fn fault(op: Op, effect: &Effect, skip: u32) -> Fault {
    Fault { op: Some(op), contains: None, skip, count: 4, effect: effect.clone() }
}

/// The cases: what is hit, how, and after how many.
fn cases(ops: &[Op]) -> Vec<(Op, Effect, u32)> {
    let of = |op: &Op| {
        let op = *op;
        EFFECTS.into_iter().flat_map(move |effect| (0..3).map(move |skip| (op, effect.clone(), skip)))
    };
    ops.iter().flat_map(of).collect()
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_taken_once_and_goes_whatever_happens() {
    for (op, effect, skip) in cases(&[Op::CreateSnapshot, Op::ListSnapshots, Op::DeleteSnapshot, Op::GetDisk])
    {
        let rig = Rig::new();
        let source = rig.create(claim("a")).await.unwrap().volume_id;
        rig.cloud.fault(fault(op, &effect, skip));
        let case = format!("{op:?} {effect:?} after {skip}");
        let taken =
            persist(async || rig.snap("snap", &source).await).await.unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(rig.snapshots(), ["snap"], "{case}");
        persist(async || rig.unsnap(&taken.snapshot_id).await)
            .await
            .unwrap_or_else(|e| panic!("{case}: {e}"));
        assert!(rig.snapshots().is_empty(), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restored_or_cloned_volume_is_bought_once_whatever_happens() {
    let ops = [
        Op::CreateSnapshot,
        Op::ListSnapshots,
        Op::DeleteSnapshot,
        Op::CreateDiskFromSnapshot,
        Op::FindDiskByName,
        Op::GetDisk,
    ];
    for (op, effect, skip) in cases(&ops) {
        for clone in [false, true] {
            let case = format!("{op:?} {effect:?} after {skip}, clone {clone}");
            let rig = Rig::new();
            let source = rig.create(claim("a")).await.unwrap().volume_id;
            let mut wanted = Vec::new();
            let ask: pb::CreateVolumeRequest = if clone {
                from("r", volume(&source))
            } else {
                wanted.push("snap".to_owned());
                from("r", snapshot(&rig.snap("snap", &source).await.unwrap().snapshot_id))
            };
            rig.cloud.fault(fault(op, &effect, skip));
            let made = persist(async || rig.create(ask.clone()).await)
                .await
                .unwrap_or_else(|e| panic!("{case}: {e}"));
            assert_eq!((rig.disks(), rig.cloud.look(|world| world.bought)), (2, 2), "{case}");
            assert_eq!(rig.snapshots(), wanted, "{case}");
            assert_ne!(made.volume_id, source);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_is_whole_or_not_there_whatever_happens() {
    for (op, effect, skip) in cases(&[Op::CreateSnapshot, Op::ListSnapshots, Op::DeleteSnapshot, Op::GetDisk])
    {
        let case = format!("{op:?} {effect:?} after {skip}");
        let rig = Rig::new();
        let a = rig.create(claim("a")).await.unwrap().volume_id;
        let b = rig.create(claim("b")).await.unwrap().volume_id;
        rig.cloud.fault(fault(op, &effect, skip));
        let group =
            persist(async || rig.group("g", &[&a, &b]).await).await.unwrap_or_else(|e| panic!("{case}: {e}"));
        let mut sources: Vec<_> = group.snapshots.iter().map(|s| s.source_volume_id.clone()).collect();
        sources.sort();
        let mut wanted = vec![a, b];
        wanted.sort();
        assert_eq!((sources, rig.snapshots().len()), (wanted, 2), "{case}");
    }
}
