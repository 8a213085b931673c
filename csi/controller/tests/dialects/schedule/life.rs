//! A volume's life: each step is asked for until it is OK, by sidecars that lose patience and ask whoever leads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use second_cloud::HOME;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::Status;

use super::scene::Scene;
use crate::call::{Call, From, Place, Told};
use crate::judge;

/// `--timeout` of the chart's sidecars.
const CALL: Duration = Duration::from_secs(300);

/// An operation that has not ended so long after its caller left never will.
const AFTERWARDS: Duration = Duration::from_secs(900);

/// Calls until it is said that a sidecar calls for ever.
const CALLS: u32 = 16;

/// After so many calls somebody looks at what the audit tells.
const OPERATOR: u32 = 8;

/// What is done with the volume between its first attach and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Grown,
    Restored,
    Cloned,
}

pub(super) struct Life {
    number: u64,
    kind: Kind,
    place: Place,
}

/// A call that its caller no longer waits for, and whether its controller was killed.
type Left = (JoinHandle<Result<Told, Status>>, Arc<AtomicBool>);

impl Life {
    pub(super) fn random(scene: &Scene, number: u64) -> Self {
        let kind = [Kind::Plain, Kind::Grown, Kind::Restored, Kind::Cloned][scene.draw(0, 3) as usize];
        // A claim that may be in any region waits for all of them (`known.rs`).
        let waits = scene.rig.borrow().name.starts_with("one-region-");
        let place = if !waits && scene.chance(20) { Place::Anywhere } else { Place::Home };
        Self { number, kind, place }
    }

    /// Of the volume, and of the one that is made of it.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |last: u64| format!("pvc-0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e6{}{last}", self.number);
        (1..=if self.kind == Kind::Restored || self.kind == Kind::Cloned { 2 } else { 1 })
            .map(|last| name(last * 10))
            .collect()
    }

    /// From the order to the refund. Whether something may be left at the end, since the dialect allows no more.
    pub(super) async fn live(&self, scene: &Scene) -> bool {
        let name = self.names().remove(0);
        let create = Call::Create { name, from: From::Nothing, place: self.place };
        let Some(volume) = id(self.step(scene, create).await) else { return true };
        let mut kept = false;
        for round in 0..scene.draw(1, 3) {
            let node = format!("{HOME}.172.16.0.{}", 6 + scene.draw(0, 2));
            kept |= !self.attached(scene, &volume, node, round == 0).await;
        }
        // One that is attached, or has a snapshot, cannot be deleted.
        kept || self.step(scene, Call::Delete { volume }).await.is_none()
    }

    /// On a machine for a while; whether it has left it. A machine in another region than the disk never gets it.
    async fn attached(&self, scene: &Scene, volume: &str, node: String, first: bool) -> bool {
        let region = scene.rig.borrow().truth().disk(volume).map(|disk| disk.region.clone());
        if region.as_deref() != Some(HOME) {
            return true;
        }
        let publish = Call::Publish { volume: volume.to_owned(), node: node.clone() };
        let there = self.step(scene, publish).await.is_some();
        let clean = !first || !there || self.between(scene, volume).await;
        let unpublish = Call::Unpublish { volume: volume.to_owned(), node };
        // What never was there may stay unknown, as the dialect allows.
        (self.step(scene, unpublish).await.is_some() || !there) && clean
    }

    /// What is done while it is attached; whether nothing of it is left.
    async fn between(&self, scene: &Scene, volume: &str) -> bool {
        let volume = volume.to_owned();
        match self.kind {
            Kind::Plain => true,
            Kind::Grown => {
                self.step(scene, Call::Expand { volume }).await;
                true
            }
            Kind::Restored => self.restored(scene, volume).await,
            Kind::Cloned => self.copied(scene, From::Volume(volume)).await,
        }
    }

    async fn restored(&self, scene: &Scene, volume: String) -> bool {
        let name = format!("snapshot-0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e6{}00", self.number);
        let Some(snapshot) = id(self.step(scene, Call::Snapshot { volume, name }).await) else {
            return false;
        };
        let clean = self.copied(scene, From::Snapshot(snapshot.clone())).await;
        self.step(scene, Call::Unsnapshot { snapshot }).await.is_some() && clean
    }

    async fn copied(&self, scene: &Scene, from: From) -> bool {
        let Some(name) = self.names().pop() else { return true };
        let create = Call::Create { name, from, place: Place::Home };
        let Some(volume) = id(self.step(scene, create).await) else { return false };
        self.step(scene, Call::Delete { volume }).await.is_some()
    }

    /// The call, until it is OK; `None`: it never was.
    async fn step(&self, scene: &Scene, call: Call) -> Option<Told> {
        let (mut left, mut last) = (Vec::new(), None);
        for attempt in 0..CALLS {
            let result = once(scene, &call, &mut left).await;
            let ok = result.is_ok();
            last = Some(result);
            if ok {
                break;
            }
            if attempt == OPERATOR {
                operator(scene, &call).await;
            }
            // Up to five minutes, as the sidecars' `--retry-interval-max`.
            sleep(Duration::from_secs(4_u64.pow(attempt.min(5)).min(300))).await;
        }
        // Nobody wants another thing of the volume before what was begun for it is over.
        for (handle, dead) in left {
            ends(scene, &call, handle, &dead).await;
        }
        if let Some(Err(status)) = &last {
            let mut rig = scene.rig.borrow_mut();
            // Of each step something may have been done before.
            if judge::hopeless(rig.name, &call, " again").is_none() {
                rig.broken(format!("{} never is OK: {:?}", call.kind(), status.code()));
            }
        }
        last.and_then(Result::ok)
    }
}

/// One call to whoever leads, and its judgement. A sidecar may lose patience, and what it began goes on.
async fn once(scene: &Scene, call: &Call, left: &mut Vec<Left>) -> Result<Told, Status> {
    let (controller, dead) = scene.leader();
    let patience = if scene.chance(20) { Duration::from_secs(scene.draw(1, 90)) } else { CALL };
    scene.calls.set(scene.calls.get() + 1);
    let mut handle = tokio::spawn(call.clone().send(controller));
    let result = match timeout(patience, &mut handle).await {
        Ok(result) => result.unwrap(),
        Err(_) => {
            left.push((handle, dead));
            Err(Status::deadline_exceeded("the sidecar gave up"))
        }
    };
    scene.say(&format!("{call:?} {result:?}"));
    let mut rig = scene.rig.borrow_mut();
    let truth = rig.truth();
    match &result {
        Ok(told) => judge::done(&mut rig, &truth, call, told),
        Err(status) => judge::refused(&mut rig, &truth, call, status.code()),
    }
    result
}

/// What the cloud has carried out after everybody had forgotten it, and whose controller is gone, the audit or the error tells, and a
/// person sees to it: a disk on a machine where nobody wants it (`unwanted-attach`), a second snapshot of one name.
async fn operator(scene: &Scene, call: &Call) {
    let truth = scene.rig.borrow().truth();
    let calls: Vec<Call> = match call {
        Call::Publish { volume, node } => {
            let holder = truth.disk(volume).and_then(|disk| disk.holder.clone());
            let machine = truth.machines.iter().find(|machine| Some(&machine.id) == holder.as_ref());
            let stray = machine.map(|machine| format!("{HOME}.{}", machine.ip)).filter(|stray| stray != node);
            let off = |node| Call::Unpublish { volume: volume.clone(), node };
            stray.map(off).into_iter().collect()
        }
        Call::Delete { volume } => {
            let left = truth.snapshots.iter().filter(|one| one.disk == *volume && one.gone.is_none());
            left.map(|one| Call::Unsnapshot { snapshot: format!("{}/{}", one.region, one.id) }).collect()
        }
        _ => Vec::new(),
    };
    for call in calls {
        scene.repairs.set(scene.repairs.get() + 1);
        let result = once(scene, &call, &mut Vec::new()).await;
        scene.say(&format!("by hand: {call:?} {result:?}"));
    }
}

/// Waits for what its caller has left, unless its controller is gone.
async fn ends(scene: &Scene, call: &Call, mut handle: JoinHandle<Result<Told, Status>>, dead: &AtomicBool) {
    let begun = tokio::time::Instant::now();
    while !dead.load(Ordering::Relaxed) && begun.elapsed() < AFTERWARDS {
        if timeout(Duration::from_secs(10), &mut handle).await.is_ok() {
            return;
        }
    }
    if !dead.load(Ordering::Relaxed) {
        scene.rig.borrow_mut().broken(format!("{} runs longer than a quarter of an hour", call.kind()));
    }
    handle.abort();
}

fn id(told: Option<Told>) -> Option<String> {
    match told {
        Some(Told::Id(id)) => Some(id),
        Some(Told::Done | Told::Volumes(_) | Told::Bytes(_)) | None => None,
    }
}
