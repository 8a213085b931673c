//! The invariants: what must hold after each step and at each reply.

use ecx::api::{DiskState, Group};
use ecx_sim::world::{DiskRecord, World};
use tonic::{Code, Status};

use super::caller::{Reply, Request};
use super::topology::Topology;
use super::volume::{Attachment, Creation, Deletion, Volume};
use crate::direct::Created;
use crate::sidecar::is_retryable;

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invariant {
    /// At most one disk has a volume's name, and only one was ever ordered for it, but for those that died in the making or vanished.
    OneDisk,
    /// A volume is on one machine, in the cloud and for its callers.
    OneMachine,
    /// A reply describes the state of the cloud.
    ReplyIsTrue,
    /// The disk of an existing volume exists.
    DiskExists,
    /// A published volume stays attached until it is unpublished.
    StaysAttached,
    /// After the wind-down no disk, no order and no GiB is left over.
    NothingLeft,
    /// Each call gets a reply, with a code that its contract allows.
    Answered,
}

/// The invariant that does not hold, and the state that violates it.
pub(super) type Check = Result<(), (Invariant, String)>;

fn ensure(holds: bool, invariant: Invariant, details: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err((invariant, details())) }
}

/// What must hold between any two steps. `late_writes`: writes without a client token may be carried out long after their
/// caller has given up, so the machine of a disk cannot be predicted.
pub(super) fn world(world: &World, volumes: &[Volume], topology: &Topology, late_writes: bool) -> Check {
    let twice = world.bought_of_name.iter().find(|(_, bought)| **bought > 1);
    ensure(twice.is_none(), Invariant::OneDisk, || format!("disks were ordered twice: {twice:?}"))?;
    for volume in volumes {
        let name = &volume.claim.name;
        let mut named = world.disks.values().filter(|d| d.disk.disk_name == *name);
        let (first, second) = (named.next(), named.next());
        ensure(second.is_none(), Invariant::OneDisk, || format!("{name}: {first:?} and {second:?}"))?;
        let machines: Vec<usize> = volume.published().collect();
        ensure(machines.len() <= 1, Invariant::OneMachine, || {
            format!("{name} was reported as published on the machines {machines:?}")
        })?;
        if !volume.exists() {
            continue;
        }
        let usable =
            first.filter(|d| d.disk.disk_id == volume.id && d.disk.disk_status != DiskState::Deleting);
        let Some(disk) = usable else {
            let details = format!("{name} is {} for its callers, and the cloud has {first:?}", volume.id);
            return Err((Invariant::DiskExists, details));
        };
        let attached = |m: &usize| disk.holder.as_ref() == Some(&topology.machines[*m].id);
        ensure(late_writes || machines.iter().all(attached), Invariant::StaysAttached, || {
            format!(
                "{name} was reported as published on the machines {machines:?}, and the cloud has {disk:?}"
            )
        })?;
    }
    Ok(())
}

/// What must hold when a call ends; `disks` are those with the volume's name at that moment.
pub(super) fn result(
    volume: &Volume,
    request: &Request,
    result: &Result<Reply, Status>,
    disks: &[DiskRecord],
    topology: &Topology,
    late_writes: bool,
) -> Check {
    let details =
        || format!("{} {request:?} returned {result:?}, and the cloud has {disks:?}", volume.claim.name);
    let gone = volume.vanished || volume.deletion != Deletion::NotRequested;
    match result {
        Ok(reply) => {
            let holds = is_true(volume, request, reply, disks, topology, gone, late_writes);
            ensure(holds, Invariant::ReplyIsTrue, details)
        }
        Err(status) => {
            let allowed = is_allowed(volume, request, status, gone || late_writes);
            ensure(allowed, Invariant::Answered, details)?;
            // A final failure of a create: no disk was made, unless an operator is told of it.
            let no_disk = disks.is_empty() || status.code() == Code::Internal;
            let create = matches!(request, Request::Create(_)) && volume.creation == Creation::Pending;
            ensure(!create || is_retryable(status.code()) || no_disk, Invariant::ReplyIsTrue, details)
        }
    }
}

/// Whether the reply describes the state of the cloud. `gone`: the volume is being deleted or has disappeared.
fn is_true(
    volume: &Volume,
    request: &Request,
    reply: &Reply,
    disks: &[DiskRecord],
    topology: &Topology,
    gone: bool,
    late_writes: bool,
) -> bool {
    let disk = disks.iter().find(|d| d.disk.disk_id == volume.id);
    let holder = disk.and_then(|d| d.holder.as_ref());
    let group = disk.map(|d| d.disk.disk_status.group());
    match (request, reply) {
        (Request::Create(_), Reply::Created(created)) => {
            // Of one that vanished, as of a disk that somebody deleted in the console, another one is the volume.
            let same = volume.creation != Creation::Done || created.id == volume.id || volume.vanished;
            same && (gone || is_usable(created, disks, volume.claim.gib))
        }
        (Request::Publish(m), _) => {
            let wanted = matches!(volume.attachments.get(m), Some(Attachment::Wanted { .. }));
            let attached = holder == Some(&topology.machines[*m].id) && group == Some(Group::Attached);
            let growing = disk.is_some_and(|d| d.disk.disk_status == DiskState::Extending);
            !wanted || attached || growing || gone || late_writes
        }
        (Request::Unpublish(m), _) => holder != Some(&topology.machines[*m].id) || late_writes,
        (Request::Expand(wanted), Reply::Expanded(gib)) => {
            gib >= wanted && (disk.is_some_and(|d| d.disk.disk_size >= *gib) || gone)
        }
        (Request::Delete, _) => disk.is_none(),
        _ => true,
    }
}

/// Whether the created volume is a disk of the cloud that can be used and has at least the size that was requested.
fn is_usable(created: &Created, disks: &[DiskRecord], requested_gib: u64) -> bool {
    let Some(DiskRecord { disk, .. }) = disks.iter().find(|d| d.disk.disk_id == created.id) else {
        return false;
    };
    let ready = !matches!(disk.disk_status, DiskState::Creating | DiskState::Error);
    let large_enough = disk.disk_size >= created.gib && created.gib >= requested_gib;
    ready && large_enough && disk.region_id == created.region
}

/// Whether the contract has this code for this call (`csi/README.md`), without the codes that our callers cannot cause.
/// `may_be_gone`: the volume may not exist any more.
fn is_allowed(volume: &Volume, request: &Request, status: &Status, may_be_gone: bool) -> bool {
    use Code::*;
    let code = status.code();
    if is_retryable(code) {
        return true;
    }
    match request {
        Request::Create(_) => code == ResourceExhausted || (code == Internal && volume.order_failed),
        Request::Publish(_) => {
            matches!(code, FailedPrecondition | ResourceExhausted) || (code == NotFound && may_be_gone)
        }
        Request::Expand(_) => {
            matches!(code, ResourceExhausted | Internal) || (code == NotFound && may_be_gone)
        }
        Request::Delete => matches!(code, FailedPrecondition | Internal),
        Request::Get => code == NotFound && may_be_gone,
        Request::Unpublish(_) | Request::List => false,
    }
}

/// A list has every volume that exists now and existed when it was requested.
pub(super) fn list(volumes: &[Volume], existed: &[bool], entries: &[(String, Vec<String>)]) -> Check {
    for (volume, _) in volumes.iter().zip(existed).filter(|(v, existed)| **existed && v.exists()) {
        let count = entries.iter().filter(|(id, _)| *id == volume.id).count();
        ensure(count == 1, Invariant::ReplyIsTrue, || {
            format!("{} ({}) is {count} times in the list {entries:?}", volume.claim.name, volume.id)
        })?;
    }
    Ok(())
}

/// A volume that was published when its nodes were requested, and still is, has one node.
pub(super) fn nodes(volume: &Volume, published: Option<usize>, nodes: &[String]) -> Check {
    let machine = published.filter(|m| volume.exists() && volume.published().any(|other| other == *m));
    ensure(machine.is_none() || nodes.len() == 1, Invariant::ReplyIsTrue, || {
        format!("{} was published on machine {machine:?}, and is on the nodes {nodes:?}", volume.claim.name)
    })
}

/// What must hold after the wind-down. `stock`: GiB in stock at the beginning; unknown if a fault made a disk disappear.
pub(super) fn nothing_left(world: &World, stock: Option<u64>) -> Check {
    let disks: Vec<_> = world.disks.values().collect();
    ensure(disks.is_empty(), Invariant::NothingLeft, || format!("left over: {disks:?}"))?;
    let left: u64 = world.regions.values().flat_map(|r| r.stock.values()).sum();
    ensure(stock.is_none_or(|stock| stock == left), Invariant::NothingLeft, || {
        format!("{left} GiB are in stock, not {stock:?}")
    })
}
