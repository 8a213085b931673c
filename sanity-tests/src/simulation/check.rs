//! What must hold, after each step and at each answer.

use ecx::api::{DiskState, Group};
use ecx_sim::world::{DiskRecord, World};
use tonic::{Code, Status};

use super::caller::{Answer, Ask};
use super::places::Places;
use super::volume::{Attachment, Deletion, Made, Volume};
use crate::direct::Created;
use crate::sidecar::is_retryable;

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invariant {
    /// At most one disk has a volume's name, and only one was ever ordered for it.
    OneDisk,
    /// A volume is on one machine, in the cloud and for its callers.
    OneMachine,
    /// What is told is so.
    ToldIsTrue,
    /// A disk that a volume still has is there.
    NothingTaken,
    /// What a machine was given stays there until it is asked back.
    StaysAttached,
    /// After quiet there is no disk, no order and no GiB without an owner.
    NothingLeft,
    /// Each call is answered, with a code that its contract has.
    Answered,
}

pub(super) type Verdict = Result<(), (Invariant, String)>;

fn must(holds: bool, invariant: Invariant, seen: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err((invariant, seen())) }
}

/// What must hold between any two steps. `late`: writes without a token may be carried out when their caller has long
/// given up, so that what machines hold is nobody's fault.
pub(super) fn world(world: &World, volumes: &[Volume], places: &Places, late: bool) -> Verdict {
    let asked = volumes.iter().filter(|v| v.made != Made::NotAsked).count() as u64;
    must(world.bought <= asked, Invariant::OneDisk, || {
        format!("{} disks were ordered for {asked} volumes", world.bought)
    })?;
    for volume in volumes {
        let name = &volume.claim.name;
        let mut named = world.disks.values().filter(|d| d.disk.disk_name == *name);
        let (first, second) = (named.next(), named.next());
        must(second.is_none(), Invariant::OneDisk, || format!("{name}: {first:?} and {second:?}"))?;
        let machines: Vec<usize> = volume.published().collect();
        must(machines.len() <= 1, Invariant::OneMachine, || {
            format!("{name} was told to be on the machines {machines:?}")
        })?;
        if !volume.owned() {
            continue;
        }
        let there =
            first.filter(|d| d.disk.disk_id == volume.id && d.disk.disk_status != DiskState::Deleting);
        let Some(disk) = there else {
            let seen = format!("{name} is {} for its callers, and the cloud has {first:?}", volume.id);
            return Err((Invariant::NothingTaken, seen));
        };
        let held = |m: &usize| disk.holder.as_ref() == Some(&places.machines[*m].id);
        must(late || machines.iter().all(held), Invariant::StaysAttached, || {
            format!("{name} was told to be on the machines {machines:?}, and the cloud has {disk:?}")
        })?;
    }
    Ok(())
}

/// What must hold when a call is answered; `disks` are those of the volume's name at that moment.
pub(super) fn answer(
    volume: &Volume,
    ask: &Ask,
    told: &Result<Answer, Status>,
    disks: &[DiskRecord],
    places: &Places,
    late: bool,
) -> Verdict {
    let seen = || format!("{} {ask:?} was told {told:?}, and the cloud has {disks:?}", volume.claim.name);
    let disk = disks.iter().find(|d| d.disk.disk_id == volume.id);
    let ended = volume.lost || volume.deletion != Deletion::NotAsked;
    let answer = match told {
        Ok(answer) => answer,
        Err(status) => {
            let free = ended || late;
            must(allowed(volume, ask, status, free), Invariant::Answered, seen)?;
            // A final failure of a create: nothing was made, unless a person is sent to it.
            let nothing = is_retryable(status.code()) || disks.is_empty() || status.code() == Code::Internal;
            let fails = matches!(ask, Ask::Create(_)) && volume.made == Made::Open;
            return must(!fails || nothing, Invariant::ToldIsTrue, seen);
        }
    };
    let holder = disk.and_then(|d| d.holder.as_ref());
    let group = disk.map(|d| d.disk.disk_status.group());
    let right = match (ask, answer) {
        (Ask::Create(_), Answer::Created(Created { id, region, gib })) => {
            let known = volume.made != Made::Yes || *id == volume.id;
            let made = disks.iter().find(|d| d.disk.disk_id == *id);
            let fits = made.is_some_and(|d| {
                let usable = !matches!(d.disk.disk_status, DiskState::Creating | DiskState::Error);
                d.disk.region_id == *region && d.disk.disk_size >= *gib && *gib >= volume.claim.gib && usable
            });
            known && (fits || ended)
        }
        (Ask::Publish(m), _) => {
            let wanted = matches!(volume.attachments.get(m), Some(Attachment::Wanted { .. }));
            let there = holder == Some(&places.machines[*m].id) && group == Some(Group::Attached);
            // It may be growing.
            let growing = disk.is_some_and(|d| d.disk.disk_status == DiskState::Extending);
            !wanted || there || growing || ended || late
        }
        (Ask::Unpublish(m), _) => holder != Some(&places.machines[*m].id) || late,
        (Ask::Expand(wanted), Answer::Expanded(gib)) => {
            gib >= wanted && (disk.is_some_and(|d| d.disk.disk_size >= *gib) || ended)
        }
        (Ask::Delete, _) => disk.is_none(),
        _ => true,
    };
    must(right, Invariant::ToldIsTrue, seen)
}

/// The codes that the contract has for a call (`csi/README.md`), without those that no caller of ours can cause.
/// `free`: the volume's end was asked for or came by itself, so that it may be gone.
fn allowed(volume: &Volume, ask: &Ask, status: &Status, free: bool) -> bool {
    use Code::*;
    let code = status.code();
    if is_retryable(code) {
        return true;
    }
    match ask {
        // Dead: the order failed in the cloud.
        Ask::Create(_) => code == ResourceExhausted || (code == Internal && volume.dead),
        Ask::Publish(_) => {
            matches!(code, FailedPrecondition | ResourceExhausted) || (code == NotFound && free)
        }
        Ask::Expand(_) => matches!(code, ResourceExhausted | Internal) || (code == NotFound && free),
        Ask::Delete => matches!(code, FailedPrecondition | Internal),
        Ask::Get => code == NotFound && free,
        Ask::Unpublish(_) | Ask::List => false,
    }
}

/// A list has every volume that its callers have, on the machines where they were told that it is.
pub(super) fn listed(volumes: &[Volume], before: &[bool], entries: &[(String, Vec<String>)]) -> Verdict {
    for (volume, _) in volumes.iter().zip(before).filter(|(v, before)| **before && v.owned()) {
        let there = entries.iter().filter(|(id, _)| *id == volume.id).count();
        must(there == 1, Invariant::ToldIsTrue, || {
            format!("{} ({}) is {there} times in the list {entries:?}", volume.claim.name, volume.id)
        })?;
    }
    Ok(())
}

/// A volume is where its callers were told that it is, and `before`, when they asked, already was.
pub(super) fn got(volume: &Volume, before: Option<usize>, nodes: &[String]) -> Verdict {
    let told = before.filter(|machine| volume.owned() && volume.published().any(|m| m == *machine));
    must(told.is_none() || nodes.len() == 1, Invariant::ToldIsTrue, || {
        format!("{} was told to be on machine {told:?}, and on the nodes {nodes:?}", volume.claim.name)
    })
}

/// What must hold after quiet. `stock`: GiB that were to be had in the beginning; unknown if a fault made a disk
/// disappear.
pub(super) fn left(world: &World, stock: Option<u64>) -> Verdict {
    let disks: Vec<_> = world.disks.values().collect();
    must(disks.is_empty(), Invariant::NothingLeft, || format!("nobody has {disks:?}"))?;
    let left: u64 = world.regions.values().flat_map(|r| r.stock.values()).sum();
    must(stock.is_none_or(|stock| stock == left), Invariant::NothingLeft, || {
        format!("{left} GiB are in stock, not {stock:?}")
    })
}
