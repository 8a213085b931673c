//! The operations: each begins with what it needs, made while the base was spoken, and is judged in the dialect.

use std::time::Duration;

use second_cloud::{Disk, HOME};
use tokio::time::sleep;

use crate::call::{Call, From, Place, Told};
use crate::judge;
use crate::rig::Rig;
use crate::sidecar::{foreign, killed, until_ok};

/// Long enough for every order to end.
const LONG: Duration = Duration::from_secs(1800);

/// The name of the snapshot.
const SNAPSHOT: &str = "snapshot-0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62e0";

/// A column of the table: `3`: three at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    /// Anywhere: its claim is bound at once.
    Immediate,
    /// Also of nodes that the cloud does not have.
    OwnDc,
    Publish,
    Publish3,
    Unpublish,
    Unpublish3,
    Expand,
    Delete,
    Delete3,
    /// Of a region that was taken out of the settings: only the volume's object names it.
    Retired,
    Snapshot,
    Unsnapshot,
    Restore,
    Clone,
    List,
    Capacity,
    /// From the order to the refund, each step with another controller.
    Life,
    /// The same, and each step's first controller is killed after so many requests.
    Killed(u64),
    /// Everything at once after what it undoes.
    Hasty,
    /// Another controller leads for a time.
    Handover,
    /// What another cluster's disk is refused.
    Foreign,
}

impl Operation {
    pub(crate) const ALL: [(&'static str, Self); 24] = [
        ("create", Self::Create),
        ("immediate", Self::Immediate),
        ("own-dc", Self::OwnDc),
        ("publish", Self::Publish),
        ("publish3", Self::Publish3),
        ("unpublish", Self::Unpublish),
        ("unpublish3", Self::Unpublish3),
        ("expand", Self::Expand),
        ("delete", Self::Delete),
        ("delete3", Self::Delete3),
        ("retired", Self::Retired),
        ("snapshot", Self::Snapshot),
        ("unsnapshot", Self::Unsnapshot),
        ("restore", Self::Restore),
        ("clone", Self::Clone),
        ("list", Self::List),
        ("capacity", Self::Capacity),
        ("life", Self::Life),
        ("kill1", Self::Killed(1)),
        ("kill4", Self::Killed(4)),
        ("kill6", Self::Killed(6)),
        ("hasty", Self::Hasty),
        ("handover", Self::Handover),
        ("foreign", Self::Foreign),
    ];
}

/// What the operation breaks.
pub(crate) async fn run(rig: &mut Rig, operation: Operation) -> Vec<String> {
    rig.say(&format!("{operation:?}"));
    match operation {
        Operation::Create => create(rig, Place::Home).await,
        Operation::Immediate => create(rig, Place::Anywhere).await,
        Operation::OwnDc => create(rig, Place::OwnDc).await,
        Operation::Publish => publish(rig, 1).await,
        Operation::Publish3 => publish(rig, 3).await,
        Operation::Unpublish => unpublish(rig, 1).await,
        Operation::Unpublish3 => unpublish(rig, 3).await,
        Operation::Expand => expand(rig).await,
        Operation::Delete => delete(rig, 1).await,
        Operation::Delete3 => delete(rig, 3).await,
        Operation::Retired => retired(rig).await,
        Operation::Snapshot => snapshot(rig).await,
        Operation::Unsnapshot => unsnapshot(rig).await,
        Operation::Restore => restore(rig).await,
        Operation::Clone => clone(rig).await,
        Operation::List => list(rig).await,
        Operation::Capacity => {
            rig.speak(&[]);
            thrice(rig, vec![Call::Capacity]).await;
        }
        Operation::Life => life(rig, None).await,
        Operation::Killed(after) => life(rig, Some(after)).await,
        Operation::Hasty => hasty(rig).await,
        Operation::Handover => handover(rig).await,
        Operation::Foreign => other_clusters(rig).await,
    }
    std::mem::take(&mut rig.broken)
}

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("pvc-0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62e{number}")).collect()
}

fn creates(place: Place) -> Vec<Call> {
    vec![created(names(1).remove(0), place)]
}

fn created(name: String, place: Place) -> Call {
    Call::Create { name, from: From::Nothing, place }
}

/// A volume's node: each has its own.
fn node(number: usize) -> String {
    format!("{HOME}.172.16.0.{}", 6 + number)
}

fn publishes(volumes: &[String]) -> Vec<Call> {
    let call = |(at, volume): (usize, &String)| Call::Publish { volume: volume.clone(), node: node(at) };
    volumes.iter().enumerate().map(call).collect()
}

fn unpublishes(volumes: &[String]) -> Vec<Call> {
    let call = |(at, volume): (usize, &String)| Call::Unpublish { volume: volume.clone(), node: node(at) };
    volumes.iter().enumerate().map(call).collect()
}

fn deletes(volumes: &[String]) -> Vec<Call> {
    volumes.iter().map(|volume| Call::Delete { volume: volume.clone() }).collect()
}

fn ids(told: Vec<Option<Told>>) -> Vec<String> {
    let id = |told| if let Some(Told::Id(id)) = told { Some(id) } else { None };
    told.into_iter().filter_map(id).collect()
}

/// Volumes that are there, attached or not, and long since; then the dialect begins.
async fn before(rig: &mut Rig, count: usize, attached: bool) -> Vec<String> {
    let volumes = made(rig, count).await;
    if attached {
        let controller = rig.controller();
        for call in publishes(&volumes) {
            until_ok(rig, &controller, vec![call]).await;
        }
    }
    sleep(LONG).await;
    rig.speak(&names(count));
    volumes
}

async fn made(rig: &mut Rig, count: usize) -> Vec<String> {
    let (controller, mut volumes) = (rig.controller(), Vec::new());
    for name in names(count) {
        let call = created(name, Place::Home);
        volumes.extend(ids(until_ok(rig, &controller, vec![call]).await));
    }
    volumes
}

/// A snapshot of a volume that is there; then the dialect begins.
async fn before_with_snapshot(rig: &mut Rig) -> Option<String> {
    let volume = made(rig, 2).await.pop()?;
    let controller = rig.controller();
    let call = Call::Snapshot { volume, name: SNAPSHOT.to_owned() };
    let snapshot = ids(until_ok(rig, &controller, vec![call]).await).pop();
    sleep(LONG).await;
    rig.speak(&[]);
    snapshot
}

/// The calls, and all of them again, to the same controller and to another one: what was done is done.
async fn thrice(rig: &mut Rig, calls: Vec<Call>) -> Vec<Told> {
    let controller = rig.controller();
    let done: Vec<Told> = until_ok(rig, &controller, calls.clone()).await.into_iter().flatten().collect();
    rig.again = true;
    for other in [false, true] {
        let controller = if other { rig.controller() } else { controller.clone() };
        if done.len() == calls.len() && !rig.over {
            until_ok(rig, &controller, calls.clone()).await;
        }
    }
    done
}

async fn create(rig: &mut Rig, place: Place) {
    rig.speak(&names(1));
    let made = thrice(rig, creates(place)).await;
    sleep(LONG).await;
    judge::end(rig, &names(1), !made.is_empty());
}

async fn publish(rig: &mut Rig, count: usize) {
    let volumes = before(rig, count, false).await;
    thrice(rig, publishes(&volumes)).await;
    judge::end(rig, &names(count), true);
}

async fn unpublish(rig: &mut Rig, count: usize) {
    let volumes = before(rig, count, true).await;
    thrice(rig, unpublishes(&volumes)).await;
    judge::end(rig, &names(count), true);
}

async fn expand(rig: &mut Rig) {
    let volumes = before(rig, 1, true).await;
    thrice(rig, volumes.into_iter().map(|volume| Call::Expand { volume }).collect()).await;
    judge::end(rig, &names(1), true);
}

async fn delete(rig: &mut Rig, count: usize) {
    let volumes = before(rig, count, false).await;
    thrice(rig, deletes(&volumes)).await;
    judge::end(rig, &names(count), true);
}

async fn retired(rig: &mut Rig) {
    let volumes = before(rig, 1, false).await;
    rig.retire(&volumes);
    thrice(rig, deletes(&volumes)).await;
    judge::end(rig, &names(1), true);
}

async fn snapshot(rig: &mut Rig) {
    let volumes = before(rig, 1, true).await;
    let call = |volume| Call::Snapshot { volume, name: SNAPSHOT.to_owned() };
    thrice(rig, volumes.into_iter().map(call).collect()).await;
    sleep(LONG).await;
    judge::snapshots(rig, 1);
}

async fn unsnapshot(rig: &mut Rig) {
    let Some(snapshot) = before_with_snapshot(rig).await else { return };
    thrice(rig, vec![Call::Unsnapshot { snapshot }]).await;
}

/// The volume that is restored was once made and deleted: of its name there is none.
async fn restore(rig: &mut Rig) {
    let Some(snapshot) = before_with_snapshot(rig).await else { return };
    let name = "pvc-0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62f1".to_owned();
    let from = From::Snapshot(snapshot);
    let made = thrice(rig, vec![Call::Create { name: name.clone(), from, place: Place::Home }]).await;
    sleep(LONG).await;
    judge::end(rig, &[name], !made.is_empty());
}

async fn clone(rig: &mut Rig) {
    let volumes = before(rig, 1, false).await;
    let name = "pvc-0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62f2".to_owned();
    let Some(volume) = volumes.first() else { return };
    let from = From::Volume(volume.clone());
    let made = thrice(rig, vec![Call::Create { name: name.clone(), from, place: Place::Home }]).await;
    sleep(LONG).await;
    judge::end(rig, &[name], !made.is_empty());
    // While it is tried its snapshot is needed.
    judge::snapshots(rig, usize::from(rig.unfinished));
}

async fn list(rig: &mut Rig) {
    let volumes = before(rig, 3, true).await;
    let controller = rig.controller();
    until_ok(rig, &controller, vec![Call::List { volumes, published: true }]).await;
}

/// A step of a life: with a controller of its own, and before it with one that is killed.
async fn step(rig: &mut Rig, calls: Vec<Call>, kill: Option<u64>) -> Vec<Option<Told>> {
    if rig.over {
        return Vec::new();
    }
    for call in calls.iter().filter(|_| kill.is_some()) {
        killed(rig, call.clone(), kill.unwrap_or(0)).await;
    }
    // What was killed may have done it all.
    rig.again = kill.is_some();
    let controller = rig.controller();
    until_ok(rig, &controller, calls).await
}

async fn life(rig: &mut Rig, kill: Option<u64>) {
    rig.speak(&names(1));
    let made = ids(step(rig, creates(Place::Home), kill).await);
    for calls in [publishes(&made), unpublishes(&made), deletes(&made)] {
        step(rig, calls, kill).await;
    }
    sleep(LONG).await;
    judge::end(rig, &names(1), false);
}

/// One controller does and undoes at once: what it reads may be from before.
async fn hasty(rig: &mut Rig) {
    let volumes = made(rig, 3).await;
    let controller = rig.controller();
    let Some(volume) = volumes.first().cloned() else { return };
    let call = Call::Snapshot { volume, name: SNAPSHOT.to_owned() };
    let Some(snapshot) = ids(until_ok(rig, &controller, vec![call]).await).pop() else { return };
    sleep(LONG).await;
    rig.speak(&[]);
    let name = "pvc-0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62f3".to_owned();
    let restore = Call::Create { name: name.clone(), from: From::Snapshot(snapshot), place: Place::Home };
    let restored = ids(until_ok(rig, &controller, vec![restore]).await);
    for calls in [
        deletes(&restored),
        publishes(&volumes),
        unpublishes(&volumes),
        publishes(&volumes),
        unpublishes(&volumes),
    ] {
        if !rig.over {
            until_ok(rig, &controller, calls).await;
        }
    }
    sleep(LONG).await;
    judge::end(rig, &[name], rig.unfinished);
}

/// The first controller published and unpublished; the second leads while the machine may be replaced, and publishes again;
/// then the first leads again.
async fn handover(rig: &mut Rig) {
    let volumes = before(rig, 1, false).await;
    let (first, second) = (rig.controller(), rig.controller());
    until_ok(rig, &first, publishes(&volumes)).await;
    until_ok(rig, &first, unpublishes(&volumes)).await;
    rig.meanwhile();
    for (controller, calls) in
        [(&second, publishes(&volumes)), (&first, unpublishes(&volumes)), (&first, publishes(&volumes))]
    {
        if !rig.over {
            until_ok(rig, controller, calls).await;
        }
    }
    judge::end(rig, &names(1), true);
}

/// Handles of another cluster's disks, which are free: as after a copy of that cluster's objects.
async fn other_clusters(rig: &mut Rig) {
    rig.another_cluster(2);
    rig.speak(&[]);
    let free = |disk: &&Disk| !disk.bought && disk.holder.is_none();
    let volumes: Vec<String> = rig.truth().disks.iter().filter(free).map(|disk| disk.id.clone()).collect();
    let (first, second) = volumes.split_at(1);
    for call in publishes(first).into_iter().chain(deletes(second)) {
        foreign(rig, call).await;
    }
}
